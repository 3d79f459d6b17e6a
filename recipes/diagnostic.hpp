#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fulgur {

// Where something stands in a recipe, or on the command line (line 0).
struct Position {
  std::string source;  // the path as the user wrote it, or kCommandLine
  int line = 0;        // from 1
  int column = 0;      // from 1, in bytes
  int length = 1;      // of what is meant, in bytes
  std::string text;    // the line, or the argument; shortened when it is very long
};

inline constexpr std::string_view kCommandLine = "command line";

// The text, cut between two letters and with "..." at its end when it is longer than `most` bytes.
std::string shortened(std::string_view text, std::size_t most = 80);

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

// A recipe that cannot be run, with all that is wrong with it (up to kMaxDiagnostics), in the order of
// the lines. what() is format_diagnostics() without colour.
class RecipeError : public std::runtime_error {
 public:
  static constexpr std::size_t kMaxDiagnostics = 20;

  explicit RecipeError(std::vector<Diagnostic> diagnostics);

  const std::vector<Diagnostic>& diagnostics() const noexcept { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

struct DiagnosticCode {
  std::string_view code;
  std::string_view meaning;
};

// All codes, in order. A code keeps its meaning for ever.
std::span<const DiagnosticCode> diagnostic_codes() noexcept;

}  // namespace fulgur
