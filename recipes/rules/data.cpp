#include <fmt/format.h>

#include <algorithm>

#include "recipes/data_sources.hpp"
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
  const auto& data = job.data;
  if (data.files.empty() && data.sources.name.empty())
    return Finding{"E0233", "there is no training data",
                   "list at least one file in data.files, or give data.sources"};
  for (std::size_t i = 0; i < data.sources.files.size(); ++i) {
    if (!data.sources.files[i].empty()) continue;
    return Finding{"E0233",
                   fmt::format("source {} has no files", i),
                   "list at least one file, or take the source out",
                   {fmt::format("data.sources.files[{}]", i)}};
  }
  return std::nullopt;
}

std::optional<Finding> files_or_sources(const Job& job) {
  if (job.data.files.empty() || job.data.sources.name.empty()) return std::nullopt;
  return Finding{"E0237", "data.files and data.sources are both given",
                 "make the files a source, too; where the recipe extends one with files, "
                 "write files: []"};
}

std::optional<Finding> sources_have_one_length(const Job& job) {
  const auto& sources = job.data.sources;
  if (sources_have_all(sources)) return std::nullopt;
  return Finding{"E0238", "the lists of data.sources have different lengths",
                 "write sources as a list of mappings, or one value for each source in every list"};
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

std::optional<Finding> sources_have_names(const Job& job) {
  const auto& names = job.data.sources.name;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto at = [](std::size_t element) {
      return fmt::format("data.sources.name[{}]", element);
    };
    const auto same = std::find(names.begin(), names.end(), names[i]) - names.begin();
    if (const auto first = static_cast<std::size_t>(same); first != i)
      return Finding{"E0239",
                     fmt::format("two sources are called `{}`", shortened(names[i])),
                     "mixes and checkpoints know sources by their names",
                     {at(i), at(first)}};
    const bool good =
        !names[i].empty() && std::all_of(names[i].begin(), names[i].end(), is_name_character);
    if (!good)
      return Finding{"E0239",
                     fmt::format("`{}` is no name for a source", shortened(names[i])),
                     "letters, digits, -, _ and .",
                     {at(i)}};
  }
  return std::nullopt;
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
      {{"data.files", "data.sources.name", "data.sources.files"}, there_is_data},
      {{"data.files", "data.sources.name"}, files_or_sources},
      {{"data.sources.name", "data.sources.files", "data.sources.weight"}, sources_have_one_length},
      {{"data.sources.name"}, sources_have_names},
      {{"data.document_separator"}, separator_is_a_line},
  };
  return kRules;
}

}  // namespace fulgur
