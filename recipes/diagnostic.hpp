#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fulgur {

// A text that many positions share: one line of a recipe can hold 100,000 values.
class SharedText {
 public:
  SharedText() = default;
  // Made of any text, without being asked for.
  template <std::convertible_to<std::string_view> Text>
  SharedText(const Text& text)  // NOLINT(google-explicit-constructor)
      : text_(std::make_shared<const std::string>(std::string_view(text))) {}

  const std::string& str() const noexcept { return text_ != nullptr ? *text_ : kEmpty; }

  friend bool operator==(const SharedText& a, const SharedText& b) { return a.str() == b.str(); }

 private:
  inline static const std::string kEmpty;
  std::shared_ptr<const std::string> text_;
};

// Where something stands in a recipe, or on the command line (line 0).
struct Position {
  SharedText source;  // the path as the user wrote it, or kCommandLine
  int line = 0;       // from 1
  int column = 0;     // from 1, in bytes
  int length = 1;     // of what is meant, in bytes
  SharedText text;    // the line, or the argument; shortened when it is very long
};

inline constexpr std::string_view kCommandLine = "command line";

// The text, cut between two letters and with "..." at its end when it is longer than `most` bytes.
std::string shortened(std::string_view text, std::size_t most = 80);

// The text with control characters, which a terminal would obey, as \x1b; lines and tabs stay. Recipes
// are free of them, but not what their escape sequences stand for, nor arguments.
std::string printable(std::string_view text);

// One thing that is wrong with a recipe.
struct Diagnostic {
  std::string code;                 // "E0107", of diagnostic_codes()
  std::string message;              // one line: what is wrong, in numbers
  std::vector<Position> positions;  // the first is the main one; can be empty
  std::string note;                 // behind the mark at the first position
  std::string help;                 // what to do instead
};

// The diagnostics as a compiler prints them:
//
//   error[E0107]: unknown key `bacth`
//     --> quickstart.yaml:14:3
//      |
//   14 |   bacth: 16
//      |   ^^^^^ not a key of `train`
//      = help: did you mean `batch`?
//
// `colour` adds the escape sequences of a terminal.
std::string format_diagnostics(std::span<const Diagnostic> diagnostics, bool colour);

// The same for editors and other programs. A line for each position, the main one first:
//
//   quickstart.yaml:14:3: error[E0107]: unknown key `bacth`; did you mean `batch`?
//   base.yaml:9:3: note: E0107 is also about this
//
// and one JSON object for each diagnostic on a line of its own, with the members of Diagnostic and
// Position; `line` is 0 for the command line.
std::string format_diagnostic_lines(std::span<const Diagnostic> diagnostics);
std::string format_diagnostics_json(std::span<const Diagnostic> diagnostics);

// Collects what is wrong, and has enough after kMost: a hostile recipe has 100,000 mistakes.
class Problems {
 public:
  static constexpr std::size_t kMost = 100;

  void add(Diagnostic problem) {
    if (!full()) all_.push_back(std::move(problem));
  }
  bool full() const noexcept { return all_.size() >= kMost; }
  std::size_t size() const noexcept { return all_.size(); }
  std::vector<Diagnostic> take() noexcept { return std::move(all_); }

 private:
  std::vector<Diagnostic> all_;
};

// A recipe that cannot be run, with all that is wrong with it (up to kMaxDiagnostics), file by file
// in the order of the lines, the command line last. what() is format_diagnostics() without colour.
class RecipeError : public std::runtime_error {
 public:
  static constexpr std::size_t kMaxDiagnostics = 20;

  explicit RecipeError(std::vector<Diagnostic> diagnostics);

  const std::vector<Diagnostic>& diagnostics() const noexcept { return diagnostics_; }
  bool has_more() const noexcept { return has_more_; }  // than it shows

 private:
  bool has_more_;
  std::vector<Diagnostic> diagnostics_;
};

struct DiagnosticCode {
  std::string_view code;
  std::string_view meaning;
  std::string_view advice;  // why it is refused, and what to do; some sentences
};

// All codes, in order. A code keeps its meaning for ever.
std::span<const DiagnosticCode> diagnostic_codes() noexcept;

}  // namespace fulgur
