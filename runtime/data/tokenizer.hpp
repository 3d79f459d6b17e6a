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
  virtual ~Tokenizer() = default;
  virtual std::int64_t vocabulary() const = 0;          // ids are 0 .. vocabulary() - 1
  virtual std::optional<std::int32_t> eos() const = 0;  // the id that ends a document
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
  virtual std::string decode(const std::vector<std::int32_t>& ids) const = 0;  // eos decodes to nothing
};

// "bytes": every byte is a token, and 256 ends a document. Throws std::invalid_argument for another name.
std::unique_ptr<Tokenizer> make_tokenizer(std::string_view name);

}  // namespace fulgur
