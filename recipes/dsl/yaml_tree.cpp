#include "recipes/dsl/yaml_tree.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

// Every value carries its line, so a file of one long line must not become large.
constexpr std::size_t kLongestLine = 240;

std::vector<SharedText> split_lines(const std::string& text) {
  std::vector<SharedText> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(shortened(line, kLongestLine));
  }
  return lines;
}

// Builds the tree from the parser's events rather than from yaml-cpp's own nodes, because those know
// neither where an alias stands nor that a key stands there twice, and can be cyclic.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& text, std::string_view source, std::size_t& nodes_left)
      : text_(text), source_(source), lines_(split_lines(text)), nodes_left_(nodes_left) {}

  YamlPointer take() { return std::move(root_); }
  Problems& duplicates() { return duplicates_; }

  Position position(const YAML::Mark& mark, std::size_t length) const {
    Position at{.source = source_, .line = std::max(mark.line, 0) + 1, .column = mark.column + 1};
    at.column = std::max(at.column, 1);
    at.length = static_cast<int>(std::min<std::size_t>(length, 1000));
    const auto index = static_cast<std::size_t>(at.line - 1);
    if (index < lines_.size()) at.text = lines_[index];
    return at;
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_ != nullptr)
      refuse("E0103", "a second document starts here", mark, "one recipe, one file");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    count(1, mark);
    add(node(Kind::kNull, mark, 1), anchor, 1);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(tag, mark);
    count(1, mark);
    const bool quoted = tag == "!";
    if (quoted) check_quotes(mark);
    auto scalar = node(Kind::kScalar, mark, value.size() + (quoted ? 2 : 0));
    scalar->text = value;
    scalar->quoted = quoted;
    add(std::move(scalar), anchor, 1);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end())
      refuse("E0104", "an alias inside its own anchor", mark, "the value would contain itself");
    count(target->second.size, mark);
    auto copy = std::make_shared<YamlNode>(*target->second.node);
    copy->position = position(mark, 1);
    add(std::move(copy), 0, target->second.size);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor;
    std::size_t size = 1;                          // nodes, with itself
    bool wants_key = true;                         // kMap: the next node is a key
    std::map<std::string, std::size_t> keys = {};  // kMap: where they are in its entries
  };
  struct Anchor {
    YamlPointer node;
    std::size_t size;
  };

  [[noreturn]] void refuse(const char* code, std::string message, const YAML::Mark& mark,
                           std::string note) const {
    throw RecipeError({{code, std::move(message), {position(mark, 1)}, std::move(note), ""}});
  }

  void check_tag(const std::string& tag, const YAML::Mark& mark) const {
    if (tag != "?" && tag != "!" && !tag.empty())
      refuse("E0106", fmt::format("tag `{}`: recipes have no tags", shortened(tag)), mark,
             "take the tag off");
  }

  // yaml-cpp 0.7 takes the rest of the file for a text whose quotes are not closed.
  void check_quotes(const YAML::Mark& mark) const {
    auto at = static_cast<std::size_t>(std::max(mark.pos, 0));
    while (at < text_.size() && text_[at] == '&')  // an anchor comes first
      at = text_.find_first_not_of(" \t", std::min(text_.find_first_of(" \t", at), text_.size()));
    if (at >= text_.size() || (text_[at] != '"' && text_[at] != '\'')) return;
    const char quote = text_[at];
    for (++at; at < text_.size(); ++at) {
      if (quote == '"' && text_[at] == '\\')
        ++at;
      else if (text_[at] == quote)
        return;
    }
    refuse("E0102", "this is not YAML: the quotes that begin here are not closed", mark, "");
  }

  std::shared_ptr<YamlNode> node(Kind kind, const YAML::Mark& mark, std::size_t length) const {
    auto made = std::make_shared<YamlNode>();
    made->kind = kind;
    made->position = position(mark, length);
    return made;
  }

  void open(Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    check_tag(tag, mark);
    if (stack_.size() >= static_cast<std::size_t>(kMaxYamlDepth))
      refuse("E0104", fmt::format("nested more than {} deep", kMaxYamlDepth), mark, "");
    count(1, mark);
    stack_.push_back({node(kind, mark, 1), anchor});
  }

  void close() {
    auto done = std::move(stack_.back());
    stack_.pop_back();
    add(std::move(done.node), done.anchor, done.size);
  }

  // Before anything is built, so that a small file cannot become large.
  void count(std::size_t nodes, const YAML::Mark& mark) {
    if (nodes > nodes_left_)
      refuse("E0104", fmt::format("more than {} values, aliases followed", kMaxYamlNodes), mark,
             "");
    nodes_left_ -= nodes;
  }

  void add(std::shared_ptr<YamlNode> added, YAML::anchor_t anchor, std::size_t size) {
    if (anchor != 0) anchors_.insert_or_assign(anchor, Anchor{added, size});
    if (stack_.empty()) {
      root_ = std::move(added);
      return;
    }
    auto& parent = stack_.back();
    parent.size += size;
    if (parent.node->kind == Kind::kList) {
      parent.node->items.push_back(std::move(added));
    } else if (std::exchange(parent.wants_key, !parent.wants_key)) {
      add_key(parent, *added);
    } else {
      auto& entry = parent.node->entries.back();
      if (added->kind == Kind::kNull)
        added->position = entry.position;  // the mark is behind the line
      entry.value = std::move(added);
    }
  }

  void add_key(Open& parent, const YamlNode& key) {
    auto& map = *parent.node;
    const auto& at = key.position;
    if (key.kind != Kind::kScalar)
      throw RecipeError({{"E0106", "a key must be plain text", {at}, "not a key", ""}});
    if (key.text == "<<" && !key.quoted) {
      throw RecipeError({{"E0106",
                          "merge keys (`<<`) are not supported",
                          {at},
                          "",
                          "write the keys out; aliases of whole values work"}});
    }
    const auto [same, is_new] = parent.keys.emplace(key.text, map.entries.size());
    if (!is_new) {
      duplicates_.add({"E0105",
                       fmt::format("key `{}` stands twice in one mapping", shortened(key.text)),
                       {at, map.entries[same->second].position},
                       "again here",
                       "keep one of the two"});
    }
    map.entries.push_back({key.text, at, nullptr});
  }

  const std::string& text_;
  SharedText source_;
  std::vector<SharedText> lines_;
  YamlPointer root_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, Anchor> anchors_;
  Problems duplicates_;
  std::size_t& nodes_left_;
};

}  // namespace

YamlPointer parse_yaml(const std::string& text, std::string_view source) {
  auto nodes_left = kMaxYamlNodes;
  return parse_yaml(text, source, nodes_left);
}

YamlPointer parse_yaml(const std::string& text, std::string_view source, std::size_t& nodes_left) {
  TreeBuilder builder(text, source, nodes_left);
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder))
      parser.HandleNextDocument(builder);  // a second is refused
  } catch (const YAML::Exception& error) {
    auto reason = error.msg;
    // yaml-cpp 0.8 adds the anchor's name, 0.7 does not; the line is shown in any case.
    if (reason.starts_with(YAML::ErrorMsg::UNKNOWN_ANCHOR)) reason = YAML::ErrorMsg::UNKNOWN_ANCHOR;
    throw RecipeError(
        {{"E0102", "this is not YAML: " + reason, {builder.position(error.mark, 1)}, "", ""}});
  }
  if (builder.duplicates().size() > 0) throw RecipeError(builder.duplicates().take());
  auto root = builder.take();
  if (root == nullptr) {
    throw RecipeError({{"E0102",
                        "the recipe is empty",
                        {{.source = source, .line = 1, .column = 1}},
                        "",
                        "see recipes/quickstart.yaml for one to start from"}});
  }
  return root;
}

}  // namespace fulgur
