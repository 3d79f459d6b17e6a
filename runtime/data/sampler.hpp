#pragma once

#include <cstdint>
#include <vector>

#include "runtime/data/corpus.hpp"

namespace fulgur {

// One packed sequence of N tokens: pieces of documents end to end.
//
// labels[t] is the token that follows token t in its document, also where the sequence ends in the
// middle of it; the last token of a document is labelled eos, or kIgnoredLabel (-1) without one.
// starts = 0, the first token of every further document, N. A document that does not fit goes on in the
// next sequence as a new one.
struct Sample {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> labels;
  std::vector<std::int32_t> starts;
};

// The one global order of samples, a function of (corpus, sequence length, seed) alone.
//
// A pass lays all documents end to end in an order drawn from (seed, pass); passes follow each other;
// sample i is the tokens [i N, (i+1) N) of this endless line. So nothing is lost or read twice within a
// pass, and the cursor of a run is one number: the samples consumed.
class Sampler {
 public:
  // The corpus must outlive the sampler.
  Sampler(const Corpus& corpus, std::int64_t sequence_length, std::uint64_t seed);

  // Cost: the sample's length, plus one shuffle when `index` is in another pass than the call before.
  Sample sample(std::int64_t index);

  // Number of labelled tokens (label >= 0) of samples [first, first + count).
  std::int64_t labelled_tokens(std::int64_t first, std::int64_t count);
};

}  // namespace fulgur
