#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/checkpoint/files.hpp"

namespace fulgur {

// The whole text as one JSON value, at most 16 levels deep. Throws CheckpointError::Kind::kInvalid.
boost::json::value parse_json(std::string_view text, const std::filesystem::path& path);

// An object in a JSON file whose fields have known types: what is missing or of another type throws
// CheckpointError::Kind::kInvalid with the file and the key. Views the object and the path.
class JsonFields {
 public:
  JsonFields(const boost::json::value& value, const std::filesystem::path& path);

  std::string text(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  const boost::json::array& array(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;
  // nullptr when there is none.
  const boost::json::value* find(std::string_view key) const { return object_.if_contains(key); }
  const boost::json::object& object() const noexcept { return object_; }
  const std::filesystem::path& path() const noexcept { return path_; }

  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const;

 private:
  const boost::json::object& object_;
  const std::filesystem::path& path_;
};

// A number that is an int64 exactly.
bool is_integer(const boost::json::value& value) noexcept;

}  // namespace fulgur
