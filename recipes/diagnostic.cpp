#include "recipes/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace fulgur {
namespace {

struct Palette {
  std::string_view error, bold, frame, help, off;
};
constexpr Palette kColours = {"\x1b[1;31m", "\x1b[1m", "\x1b[34m", "\x1b[36m", "\x1b[0m"};
constexpr Palette kPlain = {};

// Blanks as wide as `text`: one per UTF-8 character, and tabs stay tabs.
std::string blanks(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool continuation = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
    if (!continuation) result += c == '\t' ? '\t' : ' ';
  }
  return result;
}

std::string mark(const Position& at) {
  const std::string_view line = at.text.str();
  const auto begin = std::min(static_cast<std::size_t>(std::max(at.column - 1, 0)), line.size());
  const auto length = static_cast<std::size_t>(std::max(at.length, 1));
  const auto width = blanks(line.substr(begin, length)).size();
  return blanks(line.substr(0, begin)) + std::string(std::max<std::size_t>(width, 1), '^');
}

void add_source(std::string& out, const Position& at, const std::string& note, bool first,
                int width, const Palette& p) {
  const auto gutter = std::string(static_cast<std::size_t>(width), ' ');
  const auto* arrow = first ? "-->" : ":::";
  const auto bar = fmt::format("{}{} |{}", p.frame, gutter, p.off);
  if (at.line == 0) {
    out += fmt::format("{}{}{}{} {}\n{}   {}\n", gutter, p.frame, arrow, p.off,
                       printable(at.source.str()), bar, printable(at.text.str()));
    if (!note.empty()) out += fmt::format("{}   {}\n", bar, note);
    return;
  }
  out += fmt::format("{}{}{}{} {}:{}:{}\n", gutter, p.frame, arrow, p.off,
                     printable(at.source.str()), at.line, at.column);
  if (first) out += bar + "\n";
  out += fmt::format("{}{:>{}} |{} {}\n", p.frame, at.line, width, p.off, at.text.str());
  const auto behind = note.empty() ? "" : " " + note;
  out += fmt::format("{} {}{}{}{}\n", bar, p.error, mark(at), behind, p.off);
}

std::string format_one(const Diagnostic& diagnostic, const Palette& p) {
  auto out = fmt::format("{}error[{}]{}{}: {}{}\n", p.error, diagnostic.code, p.off, p.bold,
                         printable(diagnostic.message), p.off);
  int width = 1;
  for (const auto& at : diagnostic.positions)
    width = std::max(width, static_cast<int>(std::to_string(at.line).size()));
  bool first = true;
  for (const auto& at : diagnostic.positions) {
    add_source(out, at, first ? diagnostic.note : "", first, width, p);
    first = false;
  }
  if (!diagnostic.help.empty()) {
    const auto gutter = std::string(static_cast<std::size_t>(width), ' ');
    out += fmt::format("{} {}= help:{} {}\n", gutter, p.help, p.off, printable(diagnostic.help));
  }
  return out;
}

// File by file from top to bottom, then the command line, then what has no position.
std::tuple<int, std::string_view, int> order(const Diagnostic& diagnostic) {
  if (diagnostic.positions.empty()) return {2, "", 0};
  const auto& at = diagnostic.positions.front();
  if (at.line == 0) return {1, "", 0};
  return {0, at.source.str(), at.line};
}

std::vector<Diagnostic> sorted(std::vector<Diagnostic> diagnostics) {
  std::stable_sort(diagnostics.begin(), diagnostics.end(),
                   [](const Diagnostic& a, const Diagnostic& b) { return order(a) < order(b); });
  if (diagnostics.size() > RecipeError::kMaxDiagnostics)
    diagnostics.resize(RecipeError::kMaxDiagnostics);
  return diagnostics;
}

}  // namespace

std::string shortened(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  auto end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string printable(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto code = static_cast<unsigned char>(text[i]);
    const bool high = code == 0xC2 && i + 1 < text.size() &&
                      static_cast<unsigned char>(text[i + 1]) < 0xA0;  // U+0080 to U+009F
    if ((code < 0x20 && text[i] != '\t' && text[i] != '\n') || code == 0x7F || high)
      fmt::format_to(std::back_inserter(result), "\\x{:02x}",
                     high ? static_cast<unsigned char>(text[++i]) : code);
    else
      result += text[i];
  }
  return result;
}

std::string format_diagnostics(std::span<const Diagnostic> diagnostics, bool colour) {
  std::string out;
  for (const auto& diagnostic : diagnostics) {
    if (!out.empty()) out += '\n';
    out += format_one(diagnostic, colour ? kColours : kPlain);
  }
  return out;
}

RecipeError::RecipeError(std::vector<Diagnostic> diagnostics)
    : std::runtime_error(format_diagnostics(sorted(diagnostics), false)),
      has_more_(diagnostics.size() > kMaxDiagnostics),
      diagnostics_(sorted(std::move(diagnostics))) {}

}  // namespace fulgur
