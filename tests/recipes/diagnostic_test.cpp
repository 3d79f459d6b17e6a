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

  TEST_CASE("nothing that is shown can command a terminal") {
    Diagnostic diagnostic = at_line(1);
    diagnostic.message = "a\x1b[2Jb";
    diagnostic.help =
        "c\xc2\x9b"
        "d\tf";
    diagnostic.positions[0].source = "\x07.yaml";
    for (const auto& text :
         {format_diagnostics({&diagnostic, 1}, false), format_diagnostic_lines({&diagnostic, 1}),
          format_diagnostics_json({&diagnostic, 1})}) {
      CAPTURE(text);
      CHECK(text.find_first_of("\x1b\x07") == std::string::npos);
    }
    CHECK(format_diagnostics({&diagnostic, 1}, false).find("c\\x9bd\tf") != std::string::npos);
    CHECK(printable("\xc3\xa9\n\x7f") == "\xc3\xa9\n\\x7f");
  }

  TEST_CASE("for editors every position is a line, and every diagnostic one of JSON") {
    Diagnostic diagnostic = at_line(3);
    diagnostic.help = "h \"q\"";
    diagnostic.positions.push_back({.source = "command line", .text = "train.steps=3"});
    CHECK(format_diagnostic_lines({&diagnostic, 1}) ==
          "r.yaml:3:1: error[E0107]: m; h \"q\"\n"
          "command line: `train.steps=3`: note: E0107 is also about this\n");
    CHECK(format_diagnostics_json({&diagnostic, 1}) ==
          "{\"code\":\"E0107\",\"message\":\"m\",\"note\":\"\",\"help\":\"h "
          "\\\"q\\\"\",\"positions\":["
          "{\"source\":\"r.yaml\",\"line\":3,\"column\":1,\"length\":1,\"text\":\"x\"},"
          "{\"source\":\"command line\",\"line\":0,\"column\":0,\"length\":1,"
          "\"text\":\"train.steps=3\"}]}\n");
    diagnostic.positions.clear();
    CHECK(format_diagnostic_lines({&diagnostic, 1}) == "error[E0107]: m; h \"q\"\n");
  }

  TEST_CASE("problems are shown file by file, the command line last, and enough are enough") {
    Problems problems;
    problems.add({"E0113", "m", {{.source = "command line", .text = "x"}}, "", ""});
    problems.add({"E0107", "m", {{.source = "b.yaml", .line = 1}}, "", ""});
    problems.add({"E0107", "m", {{.source = "a.yaml", .line = 9}}, "", ""});
    const RecipeError error(problems.take());
    CHECK(error.diagnostics()[0].positions[0].source == "a.yaml");
    CHECK(error.diagnostics()[1].positions[0].source == "b.yaml");
    CHECK(error.diagnostics()[2].code == "E0113");
    CHECK_FALSE(error.has_more());
    Problems many;
    for (int line = 0; line < 1000; ++line)
      many.add(at_line(line));
    CHECK(many.full());
    CHECK(many.size() == Problems::kMost);
    CHECK(RecipeError(many.take()).has_more());
  }

  TEST_CASE("every code has an advice that ends like a sentence") {
    for (const auto& each : diagnostic_codes()) {
      CAPTURE(each.code);
      CHECK(each.advice.ends_with('.'));
    }
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
