#include "cluster/wire/messages.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/describe/members.hpp>
#include <boost/json.hpp>
#include <boost/mp11.hpp>
#include <charconv>
#include <cmath>

#include "cluster/wire/text.hpp"
#include "cluster/wire/wire_error.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

template <class T>
using MembersOf = boost::describe::describe_members<T, boost::describe::mod_public>;

// In the order of the alternatives of Message.
constexpr auto kNames = std::to_array<std::string_view>(
    {"Hello",       "Challenge",    "Proof",         "Refused",       "Assignment",
     "StoreSet",    "StoreGet",     "StoreValue",    "Heartbeat",     "OnGpu",
     "StepDone",    "ShardWritten", "ShardFailed",   "Print",         "StopRequested",
     "Failed",      "Done",         "Committed",     "Stop",          "Abort",
     "NodeReady",   "StartWorkers", "SignalWorkers", "WorkerStarted", "WorkerOutput",
     "WorkerExited"});
static_assert(kNames.size() == std::variant_size_v<Message>);

[[noreturn]] void refuse(const std::string& problem) {
  throw WireError(WireError::Kind::kMessage, "control message: " + problem);
}

json::value to_value(const std::string& text) {
  return json::string(valid_utf8(text));
}
json::value to_value(std::int64_t number) {
  return number;
}
json::value to_value(bool flag) {
  return flag;
}
json::value to_value(double number) {
  return json::string(fmt::format("{}", number));
}

json::value to_value(const std::vector<std::int64_t>& numbers) {
  return json::value_from(numbers);
}

json::value to_value(const std::vector<std::string>& texts) {
  json::array array;
  for (const auto& text : texts)
    array.push_back(to_value(text));
  return array;
}

void from_value(const json::value& value, std::string& out) {
  out = value.as_string();
}
void from_value(const json::value& value, std::int64_t& out) {
  out = value.as_int64();
}
void from_value(const json::value& value, bool& out) {
  out = value.as_bool();
}
void from_value(const json::value& value, double& out) {
  const auto& text = value.as_string();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size())
    throw std::invalid_argument("is no number");
}

void from_value(const json::value& value, std::vector<std::int64_t>& out) {
  for (const auto& number : value.as_array())
    out.push_back(number.as_int64());
}

void from_value(const json::value& value, std::vector<std::string>& out) {
  for (const auto& text : value.as_array())
    out.emplace_back(text.as_string());
}

template <class T>
T from_object(const json::object& object, std::string_view type) {
  T message;
  std::size_t known = 1;  // "type"
  boost::mp11::mp_for_each<MembersOf<T>>([&](auto member) {
    const auto* value = object.if_contains(member.name);
    if (value == nullptr) refuse(fmt::format("{} lacks the field '{}'", type, member.name));
    try {
      from_value(*value, message.*member.pointer);
    } catch (const std::exception&) {
      refuse(fmt::format("{}: the field '{}' has the wrong type", type, member.name));
    }
    ++known;
  });
  if (known != object.size()) refuse(fmt::format("{} has unknown fields", type));
  return message;
}

json::object parse_object(std::string_view text) {
  json::error_code error;
  json::parse_options options;
  options.max_depth = 3;  // an object of plain values and lists of numbers
  auto value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error) refuse("is no JSON (" + error.message() + ")");
  if (!value.is_object()) refuse("is no JSON object");
  return std::move(value.get_object());
}

}  // namespace

std::string_view type_name(const Message& message) {
  return kNames[message.index()];
}

std::string encode(const Message& message) {
  json::object object;
  object["type"] = type_name(message);
  std::visit(
      [&]<class T>(const T& fields) {
        boost::mp11::mp_for_each<MembersOf<T>>(
            [&](auto member) { object[member.name] = to_value(fields.*member.pointer); });
      },
      message);
  return json::serialize(object);
}

Message decode(std::string_view text) {
  const auto object = parse_object(text);
  const auto* type = object.if_contains("type");
  if (type == nullptr || !type->is_string()) refuse("lacks the field 'type'");
  const std::string_view name = type->get_string();
  std::optional<Message> message;
  boost::mp11::mp_for_each<boost::mp11::mp_iota_c<std::variant_size_v<Message>>>([&](auto index) {
    if (kNames[index] != name) return;
    message = from_object<std::variant_alternative_t<index, Message>>(object, name);
  });
  if (!message) refuse(fmt::format("unknown type '{}'", valid_utf8(name.substr(0, 64))));
  return *std::move(message);
}

}  // namespace fulgur
