#include "recipes/dsl/data_files.hpp"

#include <fmt/format.h>
#include <fnmatch.h>
#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <system_error>

namespace fulgur {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSpecial = "*?[{\\";

// The folder's own name is taken literally.
std::string escaped(const std::string& path) {
  std::string result;
  for (const char c : path) {
    if (kSpecial.find(c) != std::string_view::npos || c == '}' || c == ']') result += '\\';
    result += c;
  }
  return result;
}

std::string absolute_pattern(const FilePattern& from) {
  if (from.pattern.starts_with('/')) return from.pattern;
  return escaped(fs::absolute(from.folder).string()) + "/" + from.pattern;
}

std::vector<std::string> glob_matches(const std::string& pattern) {
  glob_t found = {};
  const int status = ::glob(pattern.c_str(), GLOB_BRACE, nullptr, &found);
  std::vector<std::string> paths;
  if (status == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

// The folder without links and "..", so that a file has one path; the file keeps its name.
std::string without_detours(const fs::path& path) {
  std::error_code error;
  const auto folder = fs::canonical(path.parent_path(), error);
  return error ? path.string() : (folder / path.filename()).string();
}

bool is_excluded(const std::string& path, const std::vector<std::string>& exclude) {
  const auto name = fs::path(path).filename().string();
  return std::any_of(exclude.begin(), exclude.end(), [&](const std::string& pattern) {
    const auto& whole = pattern.find('/') == std::string::npos ? name : path;
    return ::fnmatch(pattern.c_str(), whole.c_str(), 0) == 0;
  });
}

// Why a file cannot be trained on; empty when it can.
std::string complaint(const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) return "there is no such file";
  if (!fs::is_regular_file(status)) return "is not a regular file";
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return fmt::format("cannot be opened: {}", std::strerror(errno));
  if (file.get() == std::ifstream::traits_type::eof()) return "is empty";
  return "";
}

// Adds the files of one pattern.
void find_matches(const FilePattern& from, const std::vector<std::string>& exclude,
                  std::set<std::string>& files, Problems& problems) {
  const auto refuse = [&](const char* code, std::string message, std::string help) {
    problems.add({code, std::move(message), {from.position}, "", std::move(help)});
  };
  const bool special = from.pattern.find_first_of(kSpecial) != std::string::npos;
  const auto pattern = absolute_pattern(from);
  const auto matches = glob_matches(pattern);
  bool used = false, left_out = false;
  for (const auto& match : matches) {
    std::error_code error;
    if (fs::is_directory(match, error)) continue;
    if (is_excluded(match, exclude)) {
      left_out = true;
      continue;
    }
    used = true;
    const auto path = without_detours(match);
    const auto reason = complaint(path);
    if (!reason.empty()) refuse("E0235", fmt::format("data file {} {}", path, reason), "");
    files.insert(path);
  }
  if (used) return;
  if (left_out) {
    refuse("E0234", fmt::format("every file of `{}` is excluded", from.pattern),
           "see data.exclude");
  } else if (special) {
    refuse("E0234", fmt::format("no file matches `{}`", from.pattern), "looked for " + pattern);
  } else if (!matches.empty()) {
    refuse("E0235", fmt::format("data file {} is a directory", matches.front()),
           fmt::format("for the files in it: {}/*", from.pattern));
  } else {
    refuse("E0235", fmt::format("there is no data file {}", pattern), "");
  }
}

}  // namespace

std::vector<std::string> find_data_files(const std::vector<FilePattern>& patterns,
                                         const std::vector<std::string>& exclude,
                                         Problems& problems) {
  std::set<std::string> files;
  for (const auto& pattern : patterns) {
    if (problems.full()) break;
    find_matches(pattern, exclude, files, problems);
  }
  return {files.begin(), files.end()};
}

}  // namespace fulgur
