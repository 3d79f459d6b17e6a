#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "recipes/job.hpp"
#include "runtime/data/tokenizer.hpp"

namespace fulgur {

// Training data that cannot be used: a file that is missing, empty or not what it should be. The
// message starts with the path.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The tokenised documents of a job's data, in file order.
class Corpus {
 public:
  // Reads and tokenises all files. Throws DataError.
  Corpus(const DataSpec& data, const Tokenizer& tokenizer);

  std::int64_t num_documents() const noexcept;
  std::int64_t num_tokens() const noexcept;  // with one eos per document, where the tokenizer has one
  std::span<const std::int32_t> document(std::int64_t index) const;

  // Of the tokens and document bounds: a checkpoint stores it, a resume compares it.
  std::uint64_t fingerprint() const noexcept;
};

}  // namespace fulgur
