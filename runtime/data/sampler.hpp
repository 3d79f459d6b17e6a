#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/data/corpus.hpp"

namespace fulgur {

// One packed sequence of N tokens: pieces of documents end to end.
//
// labels[t] is the token that follows token t in its document, also where the sequence ends in the
// middle of it; the last token of a document is labelled eos, or kIgnoredLabel (-1) without one.
// starts = 0, the first token of every further document, N. A document that does not fit goes on in
// the next sequence as a new one.
struct Sample {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> labels;
  std::vector<std::int32_t> starts;

  bool operator==(const Sample&) const = default;
};

// The one global order of samples, a function of (corpus, sequence length, seed) alone.
//
// A pass lays all documents end to end in an order drawn from (seed, pass); passes follow each
// other; sample i is the tokens [i N, (i+1) N) of this endless line. So nothing is lost or read
// twice within a pass, and the cursor of a run is one number: the samples consumed.
//
// Threads. One thread at a time.
class Sampler {
 public:
  // The corpus must outlive the sampler. Throws std::invalid_argument unless
  // 1 <= sequence_length < 2^31.
  Sampler(const Corpus& corpus, std::int64_t sequence_length, std::uint64_t seed);
  Sampler(Corpus&&, std::int64_t, std::uint64_t) = delete;

  // Throws std::invalid_argument when index < 0, or so large that token positions pass 2^63.
  // Cost: O(N + log D), D documents, plus one shuffle, O(D), when `index` is in another pass than
  // the two that were used last.
  Sample sample(std::int64_t index);

  // Number of labelled tokens (label >= 0) of samples [first, first + count).
  // Cost: O(log D), plus the shuffles of at most two passes. Throws as sample() does.
  std::int64_t labelled_tokens(std::int64_t first, std::int64_t count);

 private:
  // The documents of one pass in their order; ends[i] is the token position in the pass behind
  // documents[i].
  struct Pass {
    std::int64_t number = -1;
    std::vector<std::int64_t> documents;
    std::vector<std::int64_t> ends;
  };

  const Pass& pass(std::int64_t number);
  void append_pass(std::int64_t number, std::int64_t position, Sample& out);
  std::int64_t ends_before(std::int64_t position);
  std::int64_t checked_position(std::int64_t index) const;

  const Corpus* corpus_;
  std::int64_t sequence_length_;
  std::uint64_t seed_;
  std::array<Pass, 2> passes_;  // those used last, the newest first
};

}  // namespace fulgur
