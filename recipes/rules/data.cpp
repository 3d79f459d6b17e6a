#include <fmt/format.h>

#include "recipes/diagnostic.hpp"
#include "recipes/rules/rule.hpp"
#include "recipes/rules/rules.hpp"

namespace fulgur {
namespace {

constexpr std::int64_t kBytesVocabulary = 257;  // 256 bytes and the end of a document

std::optional<Finding> tokenizer_is_known(const Job& job) {
  if (tokenizer_vocabulary(job.data.tokenizer) != 0) return std::nullopt;
  return Finding{"E0231", fmt::format("there is no tokenizer `{}`", shortened(job.data.tokenizer)),
                 "tokenizers: bytes"};
}

std::optional<Finding> vocabulary_holds_all_tokens(const Job& job) {
  const auto needed = tokenizer_vocabulary(job.data.tokenizer);
  if (job.model.vocabulary >= needed) return std::nullopt;
  return Finding{"E0232",
                 fmt::format("a vocabulary of {} is smaller than that of the tokenizer `{}`: {}",
                             job.model.vocabulary, job.data.tokenizer, needed),
                 fmt::format("vocabulary: {} or more; a multiple of 8 computes faster", needed)};
}

std::optional<Finding> there_is_data(const Job& job) {
  if (!job.data.files.empty()) return std::nullopt;
  return Finding{"E0233", "there is no training data", "list at least one file in data.files"};
}

std::optional<Finding> separator_is_a_line(const Job& job) {
  if (job.data.document_separator.find_first_of("\r\n") == std::string::npos) return std::nullopt;
  return Finding{"E0236",
                 "document_separator has a line break in it, but it is compared with one line",
                 "give the line without its end, such as \"%\""};
}

}  // namespace

std::int64_t tokenizer_vocabulary(std::string_view tokenizer) noexcept {
  return tokenizer == "bytes" ? kBytesVocabulary : 0;
}

std::span<const Rule> data_rules() {
  static const std::vector<Rule> kRules = {
      {{"data.tokenizer"}, tokenizer_is_known},
      {{"model.vocabulary", "data.tokenizer"}, vocabulary_holds_all_tokens},
      {{"data.files"}, there_is_data},
      {{"data.document_separator"}, separator_is_a_line},
  };
  return kRules;
}

}  // namespace fulgur
