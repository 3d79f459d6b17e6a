#include "recipes/dsl/recipe_text.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "recipes/diagnostic.hpp"
#include "recipes/dsl/load.hpp"

namespace fulgur {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& reason) {
  throw RecipeError({{"E0101", fmt::format("{}: {}", path.string(), reason), {}, "", ""}});
}

// The bytes of the UTF-8 character at `at`; 0 when there is none. Overlong forms, surrogates and what
// lies above U+10FFFF are none (RFC 3629).
std::size_t character_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const auto between = [](unsigned value, unsigned low, unsigned high) {
    return value >= low && value <= high;
  };
  const auto tail = [&](std::size_t i) { return between(byte(i), 0x80, 0xBF); };
  const auto lead = byte(0);
  if (lead < 0x80) return 1;
  if (between(lead, 0xC2, 0xDF)) return tail(1) ? 2 : 0;
  if (between(lead, 0xE0, 0xEF)) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80, high = lead == 0xED ? 0x9F : 0xBF;
    return between(byte(1), low, high) && tail(2) ? 3 : 0;
  }
  if (between(lead, 0xF0, 0xF4)) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80, high = lead == 0xF4 ? 0x8F : 0xBF;
    return between(byte(1), low, high) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

bool is_control(std::string_view character) {
  const auto code = static_cast<unsigned char>(character[0]);
  const char c = character[0];
  if (character.size() == 1)
    return (code < 0x20 && c != '\t' && c != '\n' && c != '\r') || code == 0x7F;
  return code == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;  // U+0080 to U+009F
}

// U+202A to U+202E and U+2066 to U+2069: the text would not say what it shows (CVE-2021-42574).
bool turns_text_around(std::string_view character) {
  return (character >= "\xE2\x80\xAA" && character <= "\xE2\x80\xAE") ||
         (character >= "\xE2\x81\xA6" && character <= "\xE2\x81\xA9");
}

}  // namespace

std::string text_fault(std::string_view text) {
  std::size_t line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const auto length = character_length(text, at);
    if (length == 0) return fmt::format("line {} is not UTF-8 (byte {})", line, at);
    const auto character = text.substr(at, length);
    if (is_control(character)) {
      return fmt::format("line {} has a control character ({:#04x}): this is no text", line,
                         static_cast<unsigned char>(character.back()));
    }
    if (turns_text_around(character))
      return fmt::format("line {} has a character that turns the order of letters around", line);
    if (text[at] == '\n') ++line;
    at += length;
  }
  return "";
}

std::string read_recipe_text(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) refuse(path, "there is no such file");
  if (!std::filesystem::is_regular_file(status)) refuse(path, "this is not a file");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) refuse(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  std::string text(kMaxRecipeBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) refuse(path, "cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kMaxRecipeBytes) refuse(path, "is larger than 1 MiB");
  if (const auto fault = text_fault(text); !fault.empty()) refuse(path, fault);
  return text;
}

}  // namespace fulgur
