#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace fulgur {

// Cuts what a process writes into pieces that end at a line end, so that no line is torn by another's and
// no character lies in two messages.
class OutputLines {
 public:
  // Takes what was read, and returns all complete lines; a line beyond kLongest is cut.
  std::string add(std::string_view bytes) {
    held_ += bytes;
    const auto end = held_.rfind('\n');
    const auto count = end != std::string::npos  ? end + 1
                       : held_.size() > kLongest ? held_.size()
                                                 : 0;
    auto lines = held_.substr(0, count);
    held_.erase(0, count);
    return lines;
  }

  // What is left at the end, without a line end.
  std::string rest() { return std::exchange(held_, {}); }

 private:
  static constexpr std::size_t kLongest = 32 << 10;

  std::string held_;
};

}  // namespace fulgur
