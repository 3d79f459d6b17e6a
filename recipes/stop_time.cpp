#include "recipes/stop_time.hpp"

#include <time.h>

#include <cctype>
#include <string_view>

namespace fulgur {

std::optional<std::chrono::system_clock::time_point> parse_stop_time(const std::string& text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00Z";
  if (text.size() != kShape.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = std::isdigit(static_cast<unsigned char>(text[i])) != 0;
    if (kShape[i] == '0' ? !digit : text[i] != kShape[i]) return std::nullopt;
  }
  std::tm time{};
  if (::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &time) == nullptr) return std::nullopt;
  auto normal = time;
  const auto seconds = ::timegm(&normal);  // which moves the 31st of February into March
  if (normal.tm_mday != time.tm_mday || normal.tm_mon != time.tm_mon) return std::nullopt;
  return std::chrono::system_clock::from_time_t(seconds);
}

}  // namespace fulgur
