#pragma once

#include "runtime/data/corpus.hpp"

namespace fulgur {

// The cross-entropy, in nats per label, of the best model that knows only how frequent each label
// is in the corpus: the entropy of the labels' frequencies. A model that reads its input must get
// below this. The labels of a pass are every token but the first one of each document, and one eos
// per document where there is one; 0 when there is no label.
double unigram_entropy(const Corpus& corpus);

}  // namespace fulgur
