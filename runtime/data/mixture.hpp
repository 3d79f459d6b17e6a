#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "recipes/data_order.hpp"
#include "recipes/job.hpp"
#include "runtime/data/sampler.hpp"

namespace fulgur {

// All sources of a job's data, read in its one global order (recipes/data_order.hpp).
//
// Threads. One thread at a time.
class Mixture {
 public:
  // Reads and tokenises all sources, for a run from its start. The job outlives the mixture. Throws
  // DataError.
  Mixture(const Job& job, const Tokenizer& tokenizer);

  // Goes on where a run stopped that had seen `tokens` tokens: in the order that it had where this job's
  // is the same up to there, and with a new anchor otherwise. In either case every source goes on with the
  // sample behind the last one that was read of it; a source that is new begins.
  // Throws DataError when the text of a source has changed.
  void resume(const DataCursor& cursor, std::int64_t tokens);

  // For a checkpoint of a run that has seen `tokens` tokens.
  DataCursor cursor(std::int64_t tokens) const;

  // Sample i of the step that begins when `tokens` tokens have been seen, of `length` tokens, which is the
  // length that the job has there.
  Sample sample(std::int64_t tokens, std::int64_t i, std::int64_t length);

  // Labelled tokens of the first `samples` samples of that step.
  std::int64_t labelled_tokens(std::int64_t tokens, std::int64_t samples);

 private:
  struct Source {
    Source(const DataSource& source, std::uint64_t seed, const Tokenizer& tokenizer)
        : name(source.name), corpus(source, tokenizer), sampler(corpus, seed, source.name) {}
    Source(const Source&) = delete;  // the sampler refers to the corpus
    Source& operator=(const Source&) = delete;
    ~Source() = default;

    std::string name;
    Corpus corpus;
    Sampler sampler;
  };

  const Job* job_;
  std::deque<Source> sources_;
  std::int64_t anchor_ = 0;
  std::vector<std::int64_t> at_anchor_;
  DataOrder order_;
};

}  // namespace fulgur
