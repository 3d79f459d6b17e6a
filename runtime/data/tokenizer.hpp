#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fulgur {

// Text to token ids and back.
class Tokenizer {
 public:
  Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  virtual ~Tokenizer() = default;

  virtual std::int64_t vocabulary() const = 0;          // ids are 0 .. vocabulary() - 1
  virtual std::optional<std::int32_t> eos() const = 0;  // the id that ends a document

  // The tokens of `text`, without eos.
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;

  // The text of `ids`; eos decodes to nothing. An id outside the vocabulary, which a model with a
  // padded vocabulary can produce, decodes to U+FFFD.
  virtual std::string decode(const std::vector<std::int32_t>& ids) const = 0;
};

// "bytes": every byte is a token, and 256 ends a document. The text need not be valid UTF-8, and
// decode(encode(text)) == text for all of them. Throws std::invalid_argument for another name.
std::unique_ptr<Tokenizer> make_tokenizer(std::string_view name);

}  // namespace fulgur
