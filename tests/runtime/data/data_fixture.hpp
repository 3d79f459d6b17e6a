#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/data/corpus.hpp"
#include "runtime/data/tokenizer.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur::test {

// A second tokenizer beside the byte tokenizer: a token per letter, a = 0, and no eos. Other
// characters are no tokens, so a document can turn out empty.
class LetterTokenizer final : public Tokenizer {
 public:
  std::int64_t vocabulary() const override { return 26; }
  std::optional<std::int32_t> eos() const override { return std::nullopt; }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> ids;
    for (const char c : text) {
      if (c >= 'a' && c <= 'z') ids.push_back(c - 'a');
    }
    return ids;
  }

  std::string decode(const std::vector<std::int32_t>& ids) const override {
    std::string text;
    for (const std::int32_t id : ids)
      text += static_cast<char>('a' + id);
    return text;
  }
};

// Writes `text` into a new file of `directory` and returns its path.
inline std::string write_file(const TemporaryDirectory& directory, const std::string& name,
                              std::string_view text) {
  const std::filesystem::path path = directory.path() / name;
  std::ofstream file(path, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.string());
  return path.string();
}

// The corpus of one file whose documents are `documents`, one a line.
inline Corpus make_corpus(const std::vector<std::string>& documents, const Tokenizer& tokenizer) {
  const TemporaryDirectory directory;
  std::string text;
  for (const std::string& document : documents)
    text += document + "\n%\n";
  return Corpus({.files = {write_file(directory, "text", text)}, .document_separator = "%"},
                tokenizer);
}

inline std::vector<std::int32_t> tokens_of(const Corpus& corpus, std::int64_t index) {
  const auto document = corpus.document(index);
  return {document.begin(), document.end()};
}

// The message of the DataError that `action` throws.
template <class Action>
std::string data_error(const Action& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

}  // namespace fulgur::test
