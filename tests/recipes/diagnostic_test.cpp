#include "recipes/diagnostic.hpp"

#include <doctest/doctest.h>

namespace fulgur {
namespace {

Diagnostic at_line(int line) {
  return {"E0107", "m", {{.source = "r.yaml", .line = line, .column = 1, .text = "x"}}, "", ""};
}

TEST_SUITE("recipes/diagnostic") {
  TEST_CASE("the mark stands below what is meant, also behind tabs and letters of several bytes") {
    const Diagnostic diagnostic{"E0107",
                                "unknown key `b`",
                                {{.source = "r.yaml",
                                  .line = 12,
                                  .column = 6,
                                  .length = 3,
                                  .text = "\t\xc3\xa9: \xc3\xa9!"}},
                                "note",
                                "help"};
    CHECK(format_diagnostics({&diagnostic, 1}, false) ==
          "error[E0107]: unknown key `b`\n"
          "  --> r.yaml:12:6\n"
          "   |\n"
          "12 | \t\xc3\xa9: \xc3\xa9!\n"
          "   | \t   ^^ note\n"
          "   = help: help\n");
  }

  TEST_CASE("a mark that lies outside its line does no harm") {
    const Diagnostic diagnostic{
        "E0102",
        "m",
        {{.source = "r.yaml", .line = 1, .column = 99, .length = 50, .text = "ab"}},
        "",
        ""};
    CHECK(format_diagnostics({&diagnostic, 1}, false).ends_with("1 | ab\n  |   ^\n"));
  }

  TEST_CASE("colour only adds escape sequences") {
    const auto diagnostic = at_line(3);
    auto coloured = format_diagnostics({&diagnostic, 1}, true);
    CHECK(coloured.find('\x1b') != std::string::npos);
    for (auto begin = coloured.find('\x1b'); begin != std::string::npos;
         begin = coloured.find('\x1b'))
      coloured.erase(begin, coloured.find('m', begin) - begin + 1);
    CHECK(coloured == format_diagnostics({&diagnostic, 1}, false));
  }

  TEST_CASE("an error holds the first twenty problems in the order of the lines") {
    std::vector<Diagnostic> many;
    many.push_back(
        {"E0113", "on the command line", {{.source = "command line", .text = "x"}}, "", ""});
    for (int line = 30; line > 0; --line)
      many.push_back(at_line(line));
    const RecipeError error(many);
    REQUIRE(error.diagnostics().size() == 20);
    CHECK(error.diagnostics().front().positions[0].line == 1);
    CHECK(error.diagnostics().back().positions[0].line == 20);
  }
}

}  // namespace
}  // namespace fulgur
