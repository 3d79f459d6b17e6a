#include <doctest/doctest.h>

#include <fstream>

#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur::test;

namespace {

// Replaces the first line that starts with `begin` in the recipe.
void replace_line(const TinyRun& run, const std::string& begin, const std::string& line) {
  auto text = read_text(run.recipe());
  const auto at = text.find("\n" + begin);
  REQUIRE(at != std::string::npos);
  text.replace(at + 1, text.find('\n', at + 1) - at - 1, line);
  std::ofstream(run.recipe(), std::ios::trunc) << text;
}

}  // namespace

TEST_SUITE("end_to_end/usage") {
  TEST_CASE("a wrong recipe starts nothing and makes nothing, and its place is named") {
    const TinyRun run;
    replace_line(run, "  hidden:", "  hiden: 16");
    const auto before = snapshot(run.folder());
    for (const auto* command : {"train", "check"}) {
      const auto outcome = run.fulgur({command, "recipe.yaml"});
      INFO(outcome.errors);
      CHECK(outcome.exit_code == 78);
      CHECK(contains(outcome.errors, "recipe.yaml:9:3"));
      CHECK(contains(outcome.errors, "did you mean `hidden`?"));
      CHECK(outcome.output.empty());
      CHECK(snapshot(run.folder()) == before);
    }
  }

  TEST_CASE("check tells all that is wrong with a recipe at once") {
    const TinyRun run;
    replace_line(run, "  heads:", "  heads: 5");
    replace_line(run, "  batch:", "  batch: many");
    replace_line(run, "  files:", "  files: [other.txt]");
    const auto outcome = run.fulgur({"check", "recipe.yaml", "--set", "layout.dq=2"});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 78);
    CHECK(contains(outcome.errors, "recipe.yaml:25:10"));  // many
    CHECK(contains(outcome.errors, "other.txt"));
    CHECK(contains(outcome.errors, "did you mean `dp`?"));
    CHECK(contains(outcome.errors, "hidden 16 is not divisible by heads 5"));
    CHECK(contains(outcome.errors, "4 errors; nothing was started"));
  }

  TEST_CASE("check tells what a right recipe makes, and makes nothing") {
    const TinyRun run;
    const auto before = snapshot(run.folder());
    const auto outcome = run.fulgur({"check", "recipe.yaml"});
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.errors.empty());
    CHECK(contains(outcome.output, "15,072"));
    CHECK(snapshot(run.folder()) == before);
  }

  TEST_CASE("recipe explain tells what a field means and everybody who sets it") {
    const TinyRun run;
    const auto field =
        run.fulgur({"recipe", "explain", "train.steps", "recipe.yaml", "train.steps=7"});
    CHECK(field.exit_code == 0);
    CHECK(contains(field.output, "value    7"));
    CHECK(contains(field.output, "set by   command line   7"));
    CHECK(contains(field.output, "over     recipe.yaml:"));
    CHECK(contains(run.fulgur({"recipe", "explain", "E0212"}).output, "E0212: "));
    const auto section = run.fulgur({"recipe", "explain", "layout"}).output;
    CHECK(contains(section, "layout.pp\n"));
    CHECK(contains(section, "layout.etp\n"));
    const auto unknown = run.fulgur({"recipe", "explain", "bacth"});
    CHECK(unknown.exit_code == 2);
    CHECK(contains(unknown.errors, "did you mean `train.batch`?"));
  }

  TEST_CASE("recipe diff compares what recipes mean, and its exit code says whether they differ") {
    const TinyRun run;
    std::ofstream(run.folder() / "same.yaml") << "extends: recipe.yaml\nvars: {two: 2}\n"
                                              << "layout: {dp: \"${vars.two}\"}\n";
    CHECK(run.fulgur({"recipe", "diff", "recipe.yaml", "same.yaml"}).exit_code == 0);
    std::ofstream(run.folder() / "other.yaml") << "extends: recipe.yaml\nlayout: {dp: 1}\n";
    const auto outcome = run.fulgur({"recipe", "diff", "recipe.yaml", "other.yaml"});
    CHECK(outcome.exit_code == 1);
    CHECK(contains(outcome.output, "layout.dp (layout)\n  - 2  [recipe.yaml:"));
    CHECK(contains(outcome.output, "  + 1  [other.yaml:2]"));
    CHECK_FALSE(contains(outcome.output, "train.batch"));
    const auto layout = run.fulgur({"recipe", "show", "other.yaml", "--part", "layout"}).output;
    CHECK(contains(layout, "dp: 1  # layout"));
    CHECK_FALSE(contains(layout, "# fixed"));
  }

  TEST_CASE("recipe fmt rewrites a file that is not formatted, and --check only says so") {
    const TinyRun run;
    const auto file = run.folder() / "messy.yaml";
    std::ofstream(file) << "extends:   recipe.yaml   \nlayout:\n      dp:  1\n\n\n";
    const auto checked = run.fulgur({"recipe", "fmt", "--check", "messy.yaml"});
    CHECK(checked.exit_code == 1);
    CHECK(contains(checked.output, "messy.yaml: not formatted"));
    CHECK(run.fulgur({"recipe", "fmt", "messy.yaml"}).exit_code == 0);
    CHECK(run.fulgur({"recipe", "fmt", "--check", "messy.yaml"}).exit_code == 0);
    std::ifstream stream(file);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    CHECK(text == "extends: recipe.yaml\nlayout:\n  dp: 1\n");
  }

  TEST_CASE("mistakes come as lines or as JSON when asked") {
    const TinyRun run;
    const auto lines = run.fulgur({"check", "recipe.yaml", "layout.dp=3", "--error-format=short"});
    CHECK(lines.exit_code == 78);
    CHECK(contains(lines.errors, "command line: `layout.dp=3`: error[E0212]: "));
    CHECK(contains(lines.errors, ": note: E0212 is also about this\n"));
    CHECK_FALSE(contains(lines.errors, "nothing was started"));
    const auto json = run.fulgur({"check", "recipe.yaml", "layout.dp=3", "--error-format=json"});
    CHECK(json.errors.starts_with("{\"code\":\"E0212\","));
  }

  TEST_CASE("a recipe that is not there is told by its name") {
    const TinyRun run;
    const auto outcome = run.fulgur({"train", "no_such_recipe.yaml"});
    CHECK(outcome.exit_code == 78);
    CHECK(contains(outcome.errors, "no_such_recipe.yaml: there is no such file"));
  }

  TEST_CASE("a text that is not there is told by its name") {
    const TinyRun run;
    std::filesystem::remove(run.folder() / "text.txt");
    const auto outcome = run.train();
    CHECK(outcome.exit_code == 78);
    CHECK(contains(outcome.errors, "text.txt"));
    CHECK_FALSE(std::filesystem::exists(run.directory()));
  }

  TEST_CASE("a misspelt option or command is wrong usage, and the right one is proposed") {
    const TinyRun run;
    const auto option = run.fulgur({"generate", "run", "--promt", "The"});
    CHECK(option.exit_code == 2);
    CHECK(contains(option.errors, "--promt"));
    CHECK(contains(option.errors, "'--prompt'"));
    const auto command = run.fulgur({"trian", "recipe.yaml"});
    CHECK(command.exit_code == 2);
    CHECK(contains(command.errors, "'trian'"));
    CHECK(contains(command.errors, "'train'"));
    const auto nothing = run.fulgur({});
    CHECK(nothing.exit_code == 2);
    CHECK(contains(nothing.errors, "--help"));
    CHECK(nothing.output.empty());
  }

  TEST_CASE("help and version are printed and are no failure") {
    const TinyRun run;
    const auto help = run.fulgur({"--help"});
    CHECK(help.exit_code == 0);
    CHECK(contains(help.output, "fulgur train recipes/quickstart.yaml"));
    const auto train = run.fulgur({"train", "--help"});
    CHECK(train.exit_code == 0);
    CHECK(contains(train.output, "--resume"));
    const auto version = run.fulgur({"--version"});
    CHECK(version.exit_code == 0);
    CHECK(contains(version.output, "fulgur 0."));
    CHECK(contains(version.output, "UCX"));
  }

  TEST_CASE("a worker that is started alone says that it is of no use") {
    const TinyRun run;
    const auto outcome = Program({FULGUR_WORKER_PROGRAM}, run.folder()).wait();
    CHECK(outcome.exit_code == 1);
    CHECK(contains(outcome.errors, "fulgur starts this program"));
  }
}
