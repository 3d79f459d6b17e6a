#include "runtime/data/statistics.hpp"

#include <cmath>
#include <unordered_map>

namespace fulgur {

double unigram_entropy(const Corpus& corpus) {
  std::unordered_map<std::int32_t, std::int64_t> counts;
  for (std::int64_t i = 0; i < corpus.num_documents(); ++i) {
    for (const std::int32_t token : corpus.document(i).subspan(1))
      ++counts[token];
  }
  if (corpus.eos()) counts[*corpus.eos()] += corpus.num_documents();

  double total = 0;
  double weighted_logs = 0;  // sum of n log n
  for (const auto& [token, count] : counts) {
    const auto n = static_cast<double>(count);
    total += n;
    weighted_logs += n * std::log(n);
  }
  return total == 0 ? 0 : std::log(total) - weighted_logs / total;
}

}  // namespace fulgur
