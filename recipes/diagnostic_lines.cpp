#include <fmt/format.h>

#include <boost/json.hpp>

#include "recipes/diagnostic.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

std::string place(const Position& at) {
  if (at.line == 0) return fmt::format("{}: `{}`", at.source.str(), at.text.str());
  return fmt::format("{}:{}:{}", at.source.str(), at.line, at.column);
}

json::object to_object(const Position& at) {
  return {{"source", at.source.str()},
          {"line", at.line},
          {"column", at.column},
          {"length", at.length},
          {"text", at.text.str()}};
}

}  // namespace

std::string format_diagnostic_lines(std::span<const Diagnostic> diagnostics) {
  std::string out;
  for (const auto& each : diagnostics) {
    const auto& positions = each.positions;
    if (!positions.empty()) out += place(positions.front()) + ": ";
    out += fmt::format("error[{}]: {}{}{}\n", each.code, each.message,
                       each.help.empty() ? "" : "; ", each.help);
    for (std::size_t i = 1; i < positions.size(); ++i)
      out += fmt::format("{}: note: {} is also about this\n", place(positions[i]), each.code);
  }
  return printable(out);
}

std::string format_diagnostics_json(std::span<const Diagnostic> diagnostics) {
  std::string out;
  for (const auto& each : diagnostics) {
    json::array positions;
    for (const auto& at : each.positions)
      positions.push_back(to_object(at));
    out += json::serialize(json::object{{"code", each.code},
                                        {"message", each.message},
                                        {"note", each.note},
                                        {"help", each.help},
                                        {"positions", std::move(positions)}}) +
           "\n";
  }
  return out;
}

}  // namespace fulgur
