#include "runtime/checkpoint/json_fields.hpp"

#include <fmt/format.h>

namespace fulgur {
namespace {

constexpr std::size_t kMaxDepth = 16;

const boost::json::object& object_of(const boost::json::value& value,
                                     const std::filesystem::path& path) {
  if (!value.is_object()) fail_invalid(path, "expected a JSON object");
  return value.get_object();
}

}  // namespace

boost::json::value parse_json(std::string_view text, const std::filesystem::path& path) {
  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::system::error_code error;
  auto value = boost::json::parse({text.data(), text.size()}, error, {}, options);
  if (error) fail_invalid(path, "not JSON: " + error.message());
  return value;
}

JsonFields::JsonFields(const boost::json::value& value, const std::filesystem::path& path)
    : object_(object_of(value, path)), path_(path) {}

std::string JsonFields::text(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr || !value->is_string()) refuse(key, "a text");
  return {value->get_string().data(), value->get_string().size()};
}

std::int64_t JsonFields::integer(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr || !is_integer(*value)) refuse(key, "an integer");
  return value->to_number<std::int64_t>();
}

const boost::json::array& JsonFields::array(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr || !value->is_array()) refuse(key, "a list");
  return value->get_array();
}

std::vector<std::int64_t> JsonFields::integers(std::string_view key) const {
  std::vector<std::int64_t> values;
  for (const auto& value : array(key)) {
    if (!is_integer(value)) refuse(key, "a list of integers");
    values.push_back(value.to_number<std::int64_t>());
  }
  return values;
}

void JsonFields::refuse(std::string_view key, std::string_view expected) const {
  const auto* value = find(key);
  auto got = value == nullptr ? std::string("nothing") : boost::json::serialize(*value);
  if (got.size() > 80) got = got.substr(0, 80) + "...";
  fail_invalid(path_, fmt::format("`{}`: expected {}, got {}", key, expected, got));
}

bool is_integer(const boost::json::value& value) noexcept {
  if (value.is_int64()) return true;
  return value.is_uint64() && value.get_uint64() <= std::uint64_t{INT64_MAX};
}

}  // namespace fulgur
