#pragma once

#include <array>
#include <cstdint>
#include <string>
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

// The endless line of a source's tokens, a function of (corpus, seed, name) alone.
//
// A pass lays all documents end to end in an order drawn from (seed, name, pass); passes follow each
// other. So nothing is lost or read twice within a pass, whatever the lengths that the line is cut
// into, and how far a run has read it is one number: the tokens.
//
// Threads. One thread at a time.
class Sampler {
 public:
  // `name` is the source's. The corpus must outlive the sampler.
  Sampler(const Corpus& corpus, std::uint64_t seed, std::string name = kPlainSource);
  Sampler(Corpus&&, std::uint64_t, std::string = {}) = delete;

  // The tokens [begin, begin + length) of the line. Throws std::invalid_argument when begin < 0, unless
  // 1 <= length < 2^31, or when positions pass 2^63.
  // Cost: O(N + log D), D documents, plus one shuffle, O(D), when it is in another pass than the two
  // that were used last.
  Sample sample(std::int64_t begin, std::int64_t length);

  // Number of labelled tokens (label >= 0) of [begin, end), 0 <= begin <= end.
  // Cost: O(log D), plus the shuffles of at most two passes. Throws std::invalid_argument otherwise.
  std::int64_t labelled_tokens(std::int64_t begin, std::int64_t end);

 private:
  // The documents of one pass in their order; ends[i] is the token position in the pass behind
  // documents[i].
  struct Pass {
    std::int64_t number = -1;
    std::vector<std::int64_t> documents;
    std::vector<std::int64_t> ends;
  };

  const Pass& pass(std::int64_t number);
  void append_pass(std::int64_t number, std::int64_t position, std::size_t length, Sample& out);
  std::int64_t ends_before(std::int64_t position);

  const Corpus* corpus_;
  std::uint64_t seed_;
  std::string name_;
  std::array<Pass, 2> passes_;  // those used last, the newest first
};

}  // namespace fulgur
