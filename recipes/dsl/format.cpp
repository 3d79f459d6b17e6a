#include "recipes/dsl/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <vector>

#include "recipes/dsl/yaml_tree.hpp"

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

std::string_view without_trailing_blanks(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

std::size_t indentation(std::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

// Whether two documents say the same.
bool same(const YamlNode& a, const YamlNode& b) {
  const auto same_items = [](const YamlPointer& x, const YamlPointer& y) { return same(*x, *y); };
  const auto same_entries = [](const YamlEntry& x, const YamlEntry& y) {
    return x.key == y.key && same(*x.value, *y.value);
  };
  return a.kind == b.kind && a.text == b.text && a.quoted == b.quoted &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same_items) &&
         std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                    same_entries);
}

// What begins on a line: a key of a block mapping, or the dash of a block list.
struct Start {
  std::size_t indent = 0;           // that it is to have
  std::size_t key_end = 0;          // behind the key; 0: the line is not taken apart
  const YamlNode* value = nullptr;  // a scalar that begins and ends on the line
  bool open = false;                // its value goes on over the next lines
};

class Formatter {
 public:
  Formatter(const std::string& text, std::string_view source) {
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
      lines_.emplace_back(without_trailing_blanks(line));
    raw_lines(text);
    const auto root = parse_yaml(text, source);
    visit(*root, 0);
    write();
    if (!same(*root, *parse_yaml(out_, source))) {
      throw RecipeError({{"E0102",
                          fmt::format("{} cannot be formatted: it would not say the same", source),
                          {},
                          "",
                          "its layout is unusual; write keys one below the other"}});
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void raw_lines(const std::string& text) {
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
      raw_.push_back(std::move(line));
  }

  // Empty behind the last line, where yaml-cpp puts an element that is not there.
  std::string_view line_of(const Position& at) const {
    const auto line = static_cast<std::size_t>(at.line - 1);
    return line < lines_.size() ? std::string_view(lines_[line]) : std::string_view();
  }
  std::string_view before(const Position& at) const {
    return line_of(at).substr(0, static_cast<std::size_t>(at.column - 1));
  }
  std::string_view behind(const Position& at) const {
    const auto line = line_of(at);
    return line.substr(std::min(static_cast<std::size_t>(at.column - 1), line.size()));
  }

  // '{' or '[' there: the inside is left as it is.
  bool is_flow(const YamlNode& node) const {
    const auto text = behind(node.position);
    return text.starts_with('{') || text.starts_with('[');
  }

  bool begins_line(const Position& at) const {
    return before(at).find_first_not_of(" -") == std::string_view::npos;
  }

  bool ends_on_line(const YamlNode& node) const {
    const auto text = behind(node.position);
    if (node.kind != Kind::kScalar || text.empty()) return false;
    if (!node.quoted) return text.starts_with(node.text);
    const char quote = text.front();
    return (quote == '"' || quote == '\'') && text.substr(1).starts_with(node.text + quote);
  }

  void start(const Position& at, std::size_t depth, std::size_t key_length, const YamlNode& value) {
    if (!begins_line(at)) return;
    Start made{.indent = 2 * depth};
    const auto column = static_cast<std::size_t>(at.column - 1);
    const bool same_line = value.position.line == at.line && value.kind != Kind::kNull;
    if (key_length > 0 && before(at).find('-') == std::string_view::npos)
      made.key_end = column + key_length;
    if (same_line && ends_on_line(value)) made.value = &value;
    made.open = value.kind == Kind::kScalar && !(same_line && made.value != nullptr);
    starts_.emplace(static_cast<std::size_t>(at.line - 1), made);
  }

  void visit(const YamlNode& node, std::size_t depth) {
    if (node.kind == Kind::kMap && !is_flow(node)) {
      for (const auto& entry : node.entries) {
        start(entry.position, depth,
              behind(entry.position).starts_with(entry.key) ? entry.key.size() : 0, *entry.value);
        visit(*entry.value, depth + 1);
      }
    } else if (node.kind == Kind::kList && !is_flow(node)) {
      for (const auto& item : node.items) {
        auto dash = item->position;
        const auto found = line_of(dash).find_first_not_of(' ');
        dash.column = static_cast<int>(std::min(found, line_of(dash).size())) + 1;
        if (behind(dash).starts_with('-')) start(dash, depth, 0, *item);
        visit(*item, depth + 1);
      }
    }
  }

  // "key:   value   # comment" with one blank behind the colon; the comment stays in its column.
  std::string tidied(const std::string& line, const Start& start) const {
    const auto old = indentation(line);
    auto text = std::string(start.indent, ' ') + line.substr(old);
    if (start.key_end == 0 || start.value == nullptr) return text;
    const auto value_at = static_cast<std::size_t>(start.value->position.column - 1);
    const auto between = line.substr(start.key_end, value_at - start.key_end);
    if (between.find_first_not_of(": ") != std::string::npos || !between.starts_with(':'))
      return text;
    const auto value_end = value_at + start.value->text.size() + (start.value->quoted ? 2 : 0);
    const auto rest = line.substr(value_end);
    text = std::string(start.indent, ' ') + line.substr(old, start.key_end - old) + ": " +
           line.substr(value_at, value_end - value_at);
    const auto comment = rest.find_first_not_of(' ');
    if (comment == std::string::npos) return text;
    const auto column = std::max(text.size() + 2, value_end + comment);
    return text + std::string(column - text.size(), ' ') + rest.substr(comment);
  }

  // Of the next line on which something begins; what stands there where nothing does.
  std::size_t comment_indent(std::size_t i) const {
    const auto next = starts_.lower_bound(i);
    if (next == starts_.end()) return indentation(lines_[i]);
    for (auto between = i; between < next->first; ++between) {
      const auto& line = lines_[between];
      const auto at = indentation(line);
      if (at < line.size() && line[at] != '#') return indentation(lines_[i]);
    }
    return next->second.indent;
  }

  void write() {
    long shift = 0;
    bool open = false, blank = true;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const auto& line = lines_[i];
      const auto old = indentation(line);
      const auto start = starts_.find(i);
      if (start != starts_.end()) {
        out_ += tidied(line, start->second) + "\n";
        shift = static_cast<long>(start->second.indent) - static_cast<long>(old);
        open = start->second.open;
        blank = false;
      } else if (open) {
        const auto& raw = raw_[i];  // inside a text over several lines: nothing but its depth
        const auto depth = static_cast<long>(indentation(raw)) + shift;
        const bool empty = indentation(raw) == raw.size();
        out_ += (empty ? raw
                       : std::string(static_cast<std::size_t>(std::max(depth, 0L)), ' ') +
                             raw.substr(indentation(raw))) +
                "\n";
        blank = false;
      } else if (line.empty()) {
        if (!blank) out_ += "\n";
        blank = true;
      } else {
        const auto depth = line[old] == '#' ? static_cast<long>(comment_indent(i))
                                            : static_cast<long>(old) + shift;
        out_ += std::string(static_cast<std::size_t>(std::max(depth, 0L)), ' ') + line.substr(old) +
                "\n";
        blank = false;
      }
    }
    while (!open && out_.ends_with("\n\n"))
      out_.pop_back();
  }

  std::vector<std::string> lines_;  // without what they end in
  std::vector<std::string> raw_;    // as they are
  std::map<std::size_t, Start> starts_;
  std::string out_;
};

}  // namespace

std::string formatted_recipe(const std::string& text, std::string_view source) {
  return Formatter(text, source).take();
}

}  // namespace fulgur
