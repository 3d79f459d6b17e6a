#include "orchestrator/run/line_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace fulgur {

LineFile::LineFile(std::filesystem::path path)
    : path_(std::move(path)),
      fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (fd_.get() < 0)
    throw std::system_error(errno, std::generic_category(), path_.string() + ": open");
}

void LineFile::append(std::string_view line) {
  const std::string whole = std::string(line) + '\n';
  std::string_view rest = whole;
  while (!rest.empty()) {
    const auto written = ::write(fd_.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      throw std::system_error(errno, std::generic_category(), path_.string() + ": write");
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace fulgur
