#include "recipes/job_json.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <functional>
#include <map>
#include <stdexcept>

#include "recipes/fields.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

json::value to_value(const FieldValue& value) {
  if (const auto* real = std::get_if<double>(&value)) return json::string(real_text(*real));
  if (const auto* reals = std::get_if<std::vector<double>>(&value)) {
    json::array texts;
    for (const double each : *reals)
      texts.emplace_back(real_text(each));
    return texts;
  }
  if (const auto* lists = std::get_if<std::vector<std::vector<double>>>(&value)) {
    json::array arrays;
    for (const auto& each : *lists)
      arrays.push_back(to_value(each));
    return arrays;
  }
  return std::visit([](const auto& plain) { return json::value_from(plain); }, value);
}

double real_from(const json::string& text) {
  double value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) throw std::invalid_argument("not a real number");
  return value;
}

std::vector<double> reals_from(const json::array& texts) {
  std::vector<double> reals;
  for (const auto& each : texts)
    reals.push_back(real_from(each.as_string()));
  return reals;
}

FieldValue from_value(FieldType type, const json::value& value) {
  switch (type) {
    case FieldType::kInteger:
      return value.to_number<std::int64_t>();
    case FieldType::kReal:
      return real_from(value.as_string());
    case FieldType::kText:
    case FieldType::kChoice:
      return json::value_to<std::string>(value);
    case FieldType::kIntegers:
      return json::value_to<std::vector<std::int64_t>>(value);
    case FieldType::kReals:
      return reals_from(value.as_array());
    case FieldType::kTexts:
      return json::value_to<std::vector<std::string>>(value);
    case FieldType::kRealLists: {
      std::vector<std::vector<double>> lists;
      for (const auto& each : value.as_array())
        lists.push_back(reals_from(each.as_array()));
      return lists;
    }
    case FieldType::kTextLists:
      return json::value_to<std::vector<std::vector<std::string>>>(value);
  }
  throw std::invalid_argument("a field without a type");
}

std::string text_of(const Job& job, const std::function<bool(const Field&)>& wanted) {
  std::map<std::string_view, const Field*> sorted;  // so keys are added in order on every level
  for (const auto& field : fields()) {
    if (wanted(field)) sorted.emplace(field.name, &field);
  }
  json::object root;
  for (const auto& [name, field] : sorted) {
    auto* object = &root;
    std::string_view rest = name;
    for (auto dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
      auto& below = (*object)[rest.substr(0, dot)];
      if (!below.is_object()) below.emplace_object();
      object = &below.get_object();
      rest.remove_prefix(dot + 1);
    }
    (*object)[rest] = to_value(field->access.get(job));
  }
  return json::serialize(root);
}

void read_object(const json::object& object, const std::string& prefix, Job& job,
                 std::size_t& count) {
  for (const auto& [key, value] : object) {
    const auto name = prefix + std::string(key);
    if (is_section(name) && value.is_object()) {
      read_object(value.get_object(), name + ".", job, count);
      continue;
    }
    const auto* field = find_field(name);
    if (field == nullptr) throw std::invalid_argument(fmt::format("a Job has no field {}", name));
    try {
      field->access.set(job, from_value(field->access.type, value));
    } catch (const std::exception& error) {
      throw std::invalid_argument(fmt::format("field {} of a Job: {}", name, error.what()));
    }
    ++count;
  }
}

std::string sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("EVP_Digest: SHA-256 failed");
  std::string hex;
  for (unsigned int i = 0; i < size; ++i)
    fmt::format_to(std::back_inserter(hex), "{:02x}", digest[i]);
  return hex;
}

bool is_identity(const Field& field) {
  return field.category == Category::kIdentity;
}

}  // namespace

std::string to_json(const Job& job) {
  return text_of(job, [](const Field&) { return true; });
}

Job job_from_json(const std::string& text) {
  boost::system::error_code error;
  const auto root = json::parse(text, error);
  if (error || !root.is_object())
    throw std::invalid_argument("a Job must be one JSON object: " + error.message());
  Job job;
  std::size_t count = 0;
  read_object(root.get_object(), "", job, count);
  if (count == fields().size()) return job;
  for (const auto& field : fields()) {
    std::string path = "/" + std::string(field.name);
    std::replace(path.begin(), path.end(), '.', '/');
    if (root.find_pointer(path, error) == nullptr)
      throw std::invalid_argument(fmt::format("the Job lacks its field {}", field.name));
  }
  throw std::invalid_argument("the Job names a field twice");
}

std::string job_hash(const Job& job) {
  return sha256(to_json(job));
}

std::string identity_hash(const Job& job) {
  return sha256(text_of(job, is_identity));
}

std::vector<FieldDifference> differences(const Job& a, const Job& b) {
  std::vector<FieldDifference> found;
  for (const auto& field : fields()) {
    const auto left = field.access.get(a), right = field.access.get(b);
    if (left != right)
      found.push_back({std::string(field.name), to_string(left), to_string(right), field.category});
  }
  return found;
}

std::vector<FieldDifference> forbidden_differences(const Job& then, const Job& now) {
  auto found = differences(then, now);
  const auto& allowed = now.resume.allow_change;
  std::erase_if(found, [&](const FieldDifference& each) {
    return each.category != Category::kIdentity ||
           std::find(allowed.begin(), allowed.end(), each.field) != allowed.end();
  });
  return found;
}

}  // namespace fulgur
