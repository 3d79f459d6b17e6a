#include "recipes/canonical.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace fulgur {
namespace {

bool is_plain(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && (letter(text.front()) || text.front() == '/') &&
         text.find_first_not_of(kPlain) == std::string_view::npos && text != "null" &&
         text != "Null" && text != "NULL";
}

// In double quotes unless it is plain; $${ for ${, which would begin an expression.
std::string quoted(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string result = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto code = static_cast<unsigned char>(text[i]);
    if (text[i] == '"' || text[i] == '\\')
      result += fmt::format("\\{}", text[i]);
    else if (text[i] == '\n')
      result += "\\n";
    else if (code < 0x20 || code == 0x7F)
      fmt::format_to(std::back_inserter(result), "\\x{:02x}", code);
    else if (text.substr(i).starts_with("${"))
      result += "$$";
    else
      result += text[i];
  }
  return result + "\"";
}

std::string value_text(const FieldValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
  std::vector<std::string> parts;
  if (const auto* lists = std::get_if<std::vector<std::vector<std::string>>>(&value)) {
    for (const auto& each : *lists)
      parts.push_back(value_text(each));
  } else if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    for (const auto& each : *texts)
      parts.push_back(quoted(each));
  } else {
    return to_string(value);
  }
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

std::vector<std::string_view> parts_of(std::string_view name) {
  std::vector<std::string_view> parts;
  for (auto dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
    parts.push_back(name.substr(0, dot));
    name.remove_prefix(dot + 1);
  }
  parts.push_back(name);
  return parts;
}

}  // namespace

std::string to_recipe(const Job& job, std::optional<Category> only) {
  // Sections keep together, where fields of one are declared in two places.
  std::vector<const Field*> sorted;
  for (const auto& field : fields()) {
    if (only && field.category != *only) continue;
    const auto section = parts_of(field.name).front();
    const auto same = std::find_if(sorted.rbegin(), sorted.rend(), [&](const Field* each) {
      return parts_of(each->name).front() == section && parts_of(each->name).size() > 1;
    });
    sorted.insert(same == sorted.rend() ? sorted.end() : same.base(), &field);
  }
  std::string out;
  std::vector<std::string_view> open;
  for (const auto* field : sorted) {
    const auto parts = parts_of(field->name);
    std::size_t depth = 0;
    while (depth < open.size() && depth + 1 < parts.size() && open[depth] == parts[depth])
      ++depth;
    open.resize(depth);
    for (; depth + 1 < parts.size(); ++depth) {
      out += fmt::format("{:{}}{}:\n", "", 2 * depth, parts[depth]);
      open.push_back(parts[depth]);
    }
    out += fmt::format("{:{}}{}: {}  # {}\n", "", 2 * depth, parts.back(),
                       value_text(field->access.get(job)), resume_text(field->category));
  }
  return out;
}

std::string_view resume_text(Category category) {
  switch (category) {
    case Category::kIdentity:
      return "fixed";
    case Category::kLayout:
      return "layout";
    case Category::kRuntime:
      return "free";
  }
  return "";
}

std::string type_text(const Field& field) {
  switch (field.access.type) {
    case FieldType::kInteger:
      if (!field.zero_word.empty()) return fmt::format("integer or `{}`", field.zero_word);
      return "integer";
    case FieldType::kReal:
      return "number";
    case FieldType::kText:
      return "text";
    case FieldType::kChoice:
      return fmt::format("`{}`", fmt::join(field.access.choices, "`, `"));
    case FieldType::kIntegers:
      return "list of integers";
    case FieldType::kReals:
      return "list of numbers";
    case FieldType::kTexts:
      return "list of texts";
    case FieldType::kRealLists:
      return "list of lists of numbers";
    case FieldType::kTextLists:
      return "list of lists of texts";
  }
  return "";
}

}  // namespace fulgur
