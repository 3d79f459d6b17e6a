#include <fmt/format.h>
#include <malloc.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/canonical.hpp"
#include "recipes/dsl/format.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/job_json.hpp"

// A libFuzzer target for the loader of recipes. An input is the text of a recipe, up to the first NUL byte;
// then that of base.yaml, which the recipe may extend; then arguments as on the command line, one after
// each further NUL.
//
// Found are crashes; inputs that take more than half a second of processor time (two with sanitizers) or
// 100 MB of memory (not counted with sanitizers); recipes that load, and whose canonical text or JSON then
// loads as something else; and texts that formatting changes twice.

namespace {

#if __has_feature(address_sanitizer)
constexpr double kMostSeconds = 2;
#else
constexpr double kMostSeconds = 0.5;
#endif

std::atomic<std::int64_t> live_bytes = 0;  // since the input began

[[noreturn]] void found(const std::string& what) {
  fmt::print(stderr, "recipe_fuzz: {}\n", what);
  std::abort();
}

#if !__has_feature(address_sanitizer)
constexpr std::int64_t kMostBytes = 100'000'000;

std::int64_t size_of(void* memory) {
  return static_cast<std::int64_t>(::malloc_usable_size(memory));
}

void count(void* memory) {
  if (live_bytes.fetch_add(size_of(memory)) > kMostBytes) found("more than 100 MB of memory");
}
#endif

double processor_seconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Two files in a folder of their own, in memory where there is a file system for it.
class Folder {
 public:
  Folder() {
    const std::filesystem::path shared = "/dev/shm";
    auto pattern =
        (std::filesystem::exists(shared) ? shared : std::filesystem::temp_directory_path()) /
        "recipe_fuzz.XXXXXX";
    auto name = pattern.string();
    if (::mkdtemp(name.data()) == nullptr) found("no temporary folder");
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path write(const char* name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::vector<std::string> split(std::string_view input) {
  std::vector<std::string> parts;
  for (auto end = input.find('\0'); end != std::string_view::npos; end = input.find('\0')) {
    parts.emplace_back(input.substr(0, end));
    input.remove_prefix(end + 1);
  }
  parts.emplace_back(input);
  return parts;
}

void check_formatted(const std::string& text) {
  std::string once;
  try {
    once = fulgur::formatted_recipe(text, "r.yaml");
  } catch (const fulgur::RecipeError&) {
    return;  // no YAML, or too unusual a layout
  }
  if (fulgur::formatted_recipe(once, "r.yaml") != once) found("formatting changes it twice");
}

void check_loaded(const Folder& folder, const fulgur::Job& job) {
  if (fulgur::job_from_json(fulgur::to_json(job)) != job) found("its JSON is another job");
  const auto again = folder.write("again.yaml", fulgur::to_recipe(job));
  if (fulgur::load_recipe(again, {}, fulgur::DataFiles::kLeave).job != job)
    found("its canonical text is another job");
}

void load(const Folder& folder, std::string_view input) {
  auto parts = split(input);
  const auto recipe = folder.write("r.yaml", parts.front());
  folder.write("base.yaml", parts.size() > 1 ? parts[1] : "");
  parts.erase(parts.begin(), parts.begin() + (parts.size() > 1 ? 2 : 1));
  try {
    const auto loaded = fulgur::load_recipe(recipe, parts, fulgur::DataFiles::kLeave);
    check_loaded(folder, loaded.job);
  } catch (const fulgur::RecipeError& error) {
    if (error.diagnostics().empty()) found("an error without a diagnostic");
    fulgur::format_diagnostic_lines(error.diagnostics());
    fulgur::format_diagnostics_json(error.diagnostics());
  }
}

}  // namespace

#if !__has_feature(address_sanitizer)  // which has operators of its own
// Counted, so that the peak of an input is known whatever the allocator keeps.
void* operator new(std::size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  count(memory);
  return memory;
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) live_bytes.fetch_sub(size_of(memory));
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  operator delete(memory);
}
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  live_bytes = 0;
  const auto start = processor_seconds();
  load(folder, input);
  const auto seconds = processor_seconds() - start;
  if (seconds > kMostSeconds) found(fmt::format("{:.2f} s of processor time", seconds));
  check_formatted(std::string(input.substr(0, input.find('\0'))));
  return 0;
}
