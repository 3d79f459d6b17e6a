#include "runtime/data/tokenizer.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace fulgur {
namespace {

constexpr std::int32_t kByteEos = 256;
constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD in UTF-8

class ByteTokenizer final : public Tokenizer {
 public:
  std::int64_t vocabulary() const override { return kByteEos + 1; }
  std::optional<std::int32_t> eos() const override { return kByteEos; }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> ids(text.size());
    for (std::size_t i = 0; i < text.size(); ++i)
      ids[i] = static_cast<unsigned char>(text[i]);
    return ids;
  }

  std::string decode(const std::vector<std::int32_t>& ids) const override {
    std::string text;
    text.reserve(ids.size());
    for (const std::int32_t id : ids) {
      if (id == kByteEos) continue;
      if (id >= 0 && id < kByteEos) {
        text += static_cast<char>(id);
      } else {
        text += kReplacementCharacter;
      }
    }
    return text;
  }
};

}  // namespace

std::unique_ptr<Tokenizer> make_tokenizer(std::string_view name) {
  if (name == "bytes") return std::make_unique<ByteTokenizer>();
  throw std::invalid_argument(fmt::format("tokenizer: expected \"bytes\", got \"{}\"", name));
}

}  // namespace fulgur
