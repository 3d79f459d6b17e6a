#include "runtime/data/text_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "kernels/unique_handle.hpp"
#include "runtime/data/corpus.hpp"

namespace fulgur {
namespace {

struct FileTraits {
  using Handle = int;
  static constexpr Handle none = -1;
  static void release(Handle file) noexcept {
    ::close(file);
  }  // opened for reading: nothing to lose
};
using File = UniqueHandle<FileTraits>;

[[noreturn]] void fail(const std::string& path, int error) {
  throw DataError(fmt::format("{}: cannot read the data file: {}", path,
                              std::generic_category().message(error)));
}

File open_regular(const std::string& path, std::size_t& size) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) fail(path, errno);
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) fail(path, errno);
  if (S_ISDIR(facts.st_mode)) throw DataError(path + ": expected a data file, got a directory");
  if (!S_ISREG(facts.st_mode))
    throw DataError(path + ": expected a data file, got a device or pipe");
  if (facts.st_size == 0) throw DataError(path + ": the data file is empty");
  size = static_cast<std::size_t>(facts.st_size);
  return file;
}

// Up to `size` bytes; less only at the end of the file.
std::size_t read_fully(const std::string& path, int file, char* data, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file, data + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

// `text` without the newline, LF or CR LF, that ends its last line.
std::string_view without_last_newline(std::string_view text) {
  if (!text.ends_with('\n')) return text;
  text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string read_text_file(const std::string& path) {
  std::size_t size = 0;
  const File file = open_regular(path, size);
  std::string text(size, '\0');
  char beyond = 0;
  const std::size_t got = read_fully(path, file.get(), text.data(), size);
  if (got != size || read_fully(path, file.get(), &beyond, 1) != 0) {
    throw DataError(
        fmt::format("{}: the data file changed while it was read: expected {} bytes, got {}", path,
                    size, got == size ? "more" : std::to_string(got)));
  }
  return text;
}

std::vector<std::string_view> split_documents(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> documents;
  const auto add = [&](std::size_t begin, std::size_t end) {
    const std::string_view document = without_last_newline(text.substr(begin, end - begin));
    if (!document.empty()) documents.push_back(document);
  };
  std::size_t begin = 0;  // of the document
  for (std::size_t line = 0; !separator.empty() && line < text.size();) {
    const std::size_t next = std::min(text.find('\n', line), text.size() - 1) + 1;
    if (without_last_newline(text.substr(line, next - line)) == separator) {
      add(begin, line);
      begin = next;
    }
    line = next;
  }
  add(begin, text.size());
  return documents;
}

}  // namespace fulgur
