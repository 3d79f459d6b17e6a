#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "recipes/data_sources.hpp"
#include "runtime/data/tokenizer.hpp"

namespace fulgur {

// Training data that cannot be used: a file that is missing, empty or not what it should be. The
// message starts with the path.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The tokenised documents of one source of a job's data, in file order; none is empty.
//
// How files are cut into documents stands at split_documents (text_file.hpp). Tokens lie in one
// array, 4 bytes each. eos is no token of a document: it is the label of the last one, never an
// input of the model, because what follows it is another document, which does not see this one.
class Corpus {
 public:
  // Reads and tokenises all files. Throws DataError; also when a file holds no document.
  Corpus(const DataSource& source, const Tokenizer& tokenizer);

  std::int64_t num_documents() const noexcept;
  std::int64_t num_tokens() const noexcept;  // the sum of the documents' lengths, all > 0
  std::span<const std::int32_t> document(std::int64_t index) const;
  std::optional<std::int32_t> eos() const noexcept { return eos_; }  // the tokenizer's

  // XXH3 of the document bounds and tokens: a checkpoint stores it, a resume compares it.
  std::uint64_t fingerprint() const noexcept { return fingerprint_; }

 private:
  void add_file(const std::string& path, const std::string& separator, const Tokenizer& tokenizer);

  std::optional<std::int32_t> eos_;
  std::vector<std::int32_t> tokens_;     // all documents end to end
  std::vector<std::int64_t> bounds_{0};  // document i is tokens [bounds_[i], bounds_[i + 1])
  std::uint64_t fingerprint_ = 0;
};

}  // namespace fulgur
