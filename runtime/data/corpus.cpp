#include "runtime/data/corpus.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include "runtime/data/text_file.hpp"

namespace fulgur {
namespace {

// The number of documents is hashed through the length of the bounds, which come first; so no two
// corpora can share a hashed sequence of bytes.
std::uint64_t hash(const std::vector<std::int64_t>& bounds,
                   const std::vector<std::int32_t>& tokens) {
  const XXH64_hash_t seed = XXH3_64bits(bounds.data(), bounds.size() * sizeof(bounds[0]));
  return XXH3_64bits_withSeed(tokens.data(), tokens.size() * sizeof(tokens[0]), seed);
}

}  // namespace

Corpus::Corpus(const DataSource& source, const Tokenizer& tokenizer) : eos_(tokenizer.eos()) {
  if (source.files.empty()) throw DataError(source.name + ": expected at least one file, got none");
  if (source.document_separator.find_first_of("\r\n") != std::string::npos) {
    throw std::invalid_argument(
        "data.document_separator: expected one line, got a line break in it");
  }
  for (const std::string& path : source.files)
    add_file(path, source.document_separator, tokenizer);
  tokens_.shrink_to_fit();
  fingerprint_ = hash(bounds_, tokens_);
}

void Corpus::add_file(const std::string& path, const std::string& separator,
                      const Tokenizer& tokenizer) {
  const std::string text = read_text_file(path);
  const std::size_t documents_before = bounds_.size();
  for (const std::string_view document : split_documents(text, separator)) {
    const std::vector<std::int32_t> ids = tokenizer.encode(document);
    if (ids.empty()) continue;
    tokens_.insert(tokens_.end(), ids.begin(), ids.end());
    bounds_.push_back(static_cast<std::int64_t>(tokens_.size()));
  }
  if (bounds_.size() == documents_before) {
    throw DataError(path + ": the data file holds no document");
  }
}

std::int64_t Corpus::num_documents() const noexcept {
  return static_cast<std::int64_t>(bounds_.size()) - 1;
}

std::int64_t Corpus::num_tokens() const noexcept {
  return bounds_.back();
}

std::span<const std::int32_t> Corpus::document(std::int64_t index) const {
  if (index < 0 || index >= num_documents()) {
    throw std::invalid_argument(
        fmt::format("Corpus::document: expected 0 <= index < {}, got {}", num_documents(), index));
  }
  const auto i = static_cast<std::size_t>(index);
  return std::span(tokens_).subspan(static_cast<std::size_t>(bounds_[i]),
                                    static_cast<std::size_t>(bounds_[i + 1] - bounds_[i]));
}

}  // namespace fulgur
