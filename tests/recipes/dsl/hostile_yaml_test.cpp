#include <doctest/doctest.h>

#include <string>

#include "recipes/dsl/load.hpp"
#include "recipes/dsl/recipe_text.hpp"
#include "recipes/dsl/yaml_tree.hpp"
#include "tests/recipes/recipe_files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

// The first code that a text is refused with; empty when it is taken.
std::string code_of(const std::string& text) {
  try {
    parse_yaml(text, "r.yaml");
  } catch (const RecipeError& error) {
    return error.diagnostics().front().code;
  }
  return "";
}

std::string file_message(const std::string& bytes) {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "r.yaml";
  test::write_file(path, bytes);
  try {
    read_recipe_text(path);
  } catch (const RecipeError& error) {
    CHECK(error.diagnostics().front().code == "E0101");
    const auto& message = error.diagnostics().front().message;
    return message.substr(message.find(": ") + 2);
  }
  return "";
}

// What a recipe of this text is refused with.
std::string refusal(const std::string& text) {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "r.yaml";
  test::write_file(path, text);
  try {
    load_recipe(path);
  } catch (const RecipeError& error) {
    return error.what();
  }
  return "";
}

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i)
    result += text;
  return result;
}

TEST_SUITE("recipes/dsl/hostile_yaml") {
  TEST_CASE("a bomb of aliases is refused by what it would become") {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
      const auto before = "*a" + std::to_string(i - 1);
      bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before +
              repeated(", " + before, 8) + "]\n";
    }
    CHECK(bomb.size() < 600);
    CHECK(code_of(bomb) == "E0104");
  }

  TEST_CASE("aliases up to the limit are taken, one more is not") {
    const auto list = "a: &a [" + repeated("x,", 99) + "]\nb: [";  // an alias of it is 100 values
    const int values_before = 1 + 2 + 100 + 1;                     // the map, two keys, both lists
    const int most = (static_cast<int>(kMaxYamlNodes) - values_before) / 100;
    CHECK(code_of(list + repeated("*a,", most) + "]\n").empty());
    CHECK(code_of(list + repeated("*a,", most + 1) + "]\n") == "E0104");
  }

  TEST_CASE("a value that contains itself is refused") {
    CHECK(code_of("a: &x {b: *x}\n") == "E0104");
    CHECK(code_of("&x [*x]\n") == "E0104");
    CHECK(code_of("a: *nobody\n") == "E0102");
  }

  TEST_CASE("nesting ends at 64") {
    CHECK(code_of(repeated("[", 64) + repeated("]", 64)).empty());
    CHECK(code_of(repeated("[", 65) + repeated("]", 65)) == "E0104");
    CHECK(code_of(repeated("[", 500000)) == "E0104");
    CHECK(code_of(repeated("{a: ", 200000)) == "E0104");
    CHECK(code_of(repeated("- ", 200000)) == "E0104");
  }

  TEST_CASE("more than 100000 values are refused") {
    CHECK(code_of("a: [" + repeated("1,", 110000) + "]\n") == "E0104");
    CHECK(code_of(repeated("-\n", 110000)) == "E0104");
  }

  TEST_CASE("a line of 1 MiB does not come back whole with every value on it") {
    const auto tree = parse_yaml("[" + repeated("abcdefghi,", 90000) + "]", "r.yaml");
    REQUIRE(tree->items.size() == 90000);
    CHECK(tree->items.back()->position.column == 10 * 89999 + 2);
    CHECK(tree->items.back()->position.text.str().size() < 300);
  }

  TEST_CASE("a long key or value does not come back whole in the message") {
    const auto message =
        refusal("a" + repeated("k", 1000) + ": 1\nlayout: {dp: " + repeated("v", 500000) + "}\n");
    CHECK(message.find("unknown key `akkk") != std::string::npos);
    CHECK(message.find("`layout.dp` must be an integer, not `vvv") != std::string::npos);
    CHECK(message.size() < 20000);
  }

  TEST_CASE("a list of a field has at most 10000 elements") {
    const auto recipe = [](int n) {
      return test::kGoodRecipe + "pipeline: {layers: [" + repeated("1,", n) + "]}\n";
    };
    CHECK(refusal(recipe(10001)).find("`pipeline.layers` has 10001 elements: at most 10000") !=
          std::string::npos);
    CHECK(refusal(recipe(10000)).find("at most") == std::string::npos);
  }

  TEST_CASE("keys that stand twice are refused on every level, all of them at once") {
    try {
      parse_yaml("a: 1\nb: {c: 1, c: 2}\n'a': 3\n", "r.yaml");
      FAIL("it was taken");
    } catch (const RecipeError& error) {
      REQUIRE(error.diagnostics().size() == 2);
      CHECK(error.diagnostics()[0].message == "key `c` stands twice in one mapping");
      CHECK(error.diagnostics()[1].positions[0].line == 3);
      CHECK(error.diagnostics()[1].positions[1].line == 1);
    }
  }

  TEST_CASE("tags, merge keys and keys that are no text are refused") {
    CHECK(code_of("a: !!int 3\n") == "E0106");
    CHECK(code_of("a: !python/object {}\n") == "E0106");
    CHECK(code_of("a: !x [1]\n") == "E0106");
    CHECK(code_of("a: &a {b: 1}\nc: {<<: *a}\n") == "E0106");
    CHECK(code_of("{[a]: 1}\n") == "E0106");
    CHECK(code_of("{~: 1}\n") == "E0106");
    CHECK(code_of("a: \"<<\"\n").empty());
  }

  TEST_CASE("a second document is refused, an end of the first is not") {
    CHECK(code_of("a: 1\n---\nb: 2\n") == "E0103");
    CHECK(code_of("a: 1\n---\n") == "E0103");
    CHECK(code_of("---\na: 1\n...\n").empty());
    CHECK(code_of("%YAML 1.2\n---\na: 1\n").empty());
  }

  TEST_CASE("broken YAML is refused at a line that exists") {
    for (const auto* text :
         {"a: [1, 2\n", "a: 'x\n", "a: \"\\q\"\n", "a: b: c\n", "\tx: 1\n", "a: |x\n",
          "a: 1\n b: 2\n", "? \n", "%FOO\n", "a: @x\n", "a: `x\n", "- a\nb: 1\n"}) {
      CAPTURE(text);
      try {
        parse_yaml(text, "r.yaml");
      } catch (const RecipeError& error) {
        CHECK(error.diagnostics().front().positions.at(0).line >= 1);
      }
    }
    CHECK(code_of("a: [1, 2\n") == "E0102");
    CHECK(code_of("a: b: c\n") == "E0102");
  }

  TEST_CASE("quotes that are not closed are refused where they begin") {
    for (const auto* text : {"a: 1\nb: \"x\nc: 2\n", "b: 'x\n", "b: 'it''s", "b: \"\\\"\n",
                             "b: [1, \"x", "b: &n \"x\n", "\xc3\xa9: '\xc3\xa9\n", "'b: 1\n"}) {
      CAPTURE(text);
      CHECK(code_of(text) == "E0102");
    }
    for (const auto* text :
         {"b: 'x'", "b: 'it''s'", "b: \"\\\"\"", "b: &n \"x\"\n", "b: \"\"", "b: \"x\n  y\"\n",
          "\xc3\xa9: '\xc3\xa9'\n", "b: |\n  'x\n", "b: it's\n", "'b': >-\n  \"\n"}) {
      CAPTURE(text);
      CHECK(code_of(text).empty());
    }
  }

  TEST_CASE("an empty recipe is refused") {
    for (const auto* text : {"", "\n\n", "# only this\n", "   \n"}) {
      CAPTURE(text);
      CHECK(code_of(text) == "E0102");
    }
  }

  TEST_CASE("a file over 1 MiB, with binary or other than UTF-8 text is refused by its line") {
    CHECK(file_message(std::string(2 << 20, '#')) == "is larger than 1 MiB");
    CHECK(file_message(std::string(1 << 20, '#')).empty());
    CHECK(file_message(std::string("a: 1\nb: \0\n", 10)) ==
          "line 2 has a control character (0x00): this is no text");
    CHECK(file_message("\x7f"
                       "ELF") == "line 1 has a control character (0x7f): this is no text");
    CHECK(file_message("a: 1\n\xff\n") == "line 2 is not UTF-8 (byte 5)");
    CHECK(file_message("a: \xc2\x9b") == "line 1 has a control character (0x9b): this is no text");
    CHECK(file_message("a: \xe2\x80\xae") ==
          "line 1 has a character that turns the order of letters around");
    CHECK(file_message("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\x89").empty());
    for (const auto* bad : {"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3",
                            "\x80", "\xf0\x9f\x8e", "\xf8\x88\x80\x80\x80"}) {
      CHECK(file_message(bad).find("is not UTF-8") != std::string::npos);
    }
  }

  TEST_CASE("numbers and nulls are texts to the tree") {
    const auto tree = parse_yaml("a: 010\nb: '5'\nc:\nd: ~\n", "r.yaml");
    REQUIRE(tree->entries.size() == 4);
    CHECK(tree->entries[0].value->text == "010");
    CHECK_FALSE(tree->entries[0].value->quoted);
    CHECK(tree->entries[1].value->quoted);
    CHECK(tree->entries[2].value->kind == YamlNode::Kind::kNull);
    CHECK(tree->entries[2].value->position.line == 3);
    CHECK(tree->entries[3].value->kind == YamlNode::Kind::kNull);
  }
}

}  // namespace
}  // namespace fulgur
