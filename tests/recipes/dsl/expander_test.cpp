#include "recipes/dsl/expander.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "tests/recipes/dsl/recipe_folder.hpp"

namespace fulgur {
namespace {

using Folder = test::RecipeFolder;

std::string with_vars(const std::string& vars) {
  return test::kGoodRecipe + "vars:\n" + vars;
}

TEST_SUITE("recipes/dsl/expander") {
  TEST_CASE("a field is made of others, of derived ones and of defaults") {
    const Folder folder;
    const auto job = folder
                         .load({"model.expert_hidden=${model.hidden * 3 // 2}",
                                "model.rotary_dim=${model.head_dim // 4 * 2}",
                                "optimizer.beta1=${optimizer.beta2 - 0.05}", "train.steps=${2 * 3}",
                                "name=run-${layout.dp}x${model.layers}-${device}"})
                         .job;
    CHECK(job.model.expert_hidden == 96);
    CHECK(job.model.rotary_dim == 8);
    CHECK(job.optimizer.beta1 == doctest::Approx(0.9));
    CHECK(job.train.steps == 6);
    CHECK(job.name == "run-1x4-auto");
    CHECK(job.run_directory == "runs/run-1x4-auto");
  }

  TEST_CASE("an expression sees the value that counts in the end") {
    const Folder folder;
    const std::vector<std::string> twice = {"train.batch=${layout.dp * 2}", "layout.dp=3"};
    CHECK(folder.load(twice).job.train.batch == 6);
  }

  TEST_CASE("variables are numbers with units, texts, or expressions themselves") {
    const Folder folder(
        with_vars("  width: 32\n  length: 64 tokens\n  total: \"${vars.width * vars.length}\"\n"
                  "  word: plain\n  digits: '12'\n"));
    const auto job =
        folder
            .load({"model.hidden=${vars.width * 2}", "train.sequence_length=${vars.total // 16}",
                   "name=${vars.word}${vars.digits}"})
            .job;
    CHECK(job.model.hidden == 64);
    CHECK(job.train.sequence_length == 128);
    CHECK(job.name == "plain12");
    CHECK(folder.codes({"train.batch=${vars.total // 256}", "model.hidden=${vars.width}",
                        "name=${vars.word}"}) == "E0125 E0110");  // tokens are no count
    CHECK(folder.codes({"train.steps=${vars.digits * 2}", "train.batch=${vars.total/vars.total}",
                        "name=${vars.word}"}) == "E0117");
  }

  TEST_CASE("a variable can be overridden, and one that nothing uses is refused") {
    const Folder folder(with_vars("  width: 32\n"));
    CHECK(folder.codes() == "E0125");
    const std::vector<std::string> use = {"model.hidden=${vars.width}"};
    CHECK(folder.load(use).job.model.hidden == 32);
    CHECK(folder.load({use[0], "vars.width=64"}).job.model.hidden == 64);
    CHECK(folder.load({use[0], "model.hidden=96"}).job.model.hidden == 96);  // used by what it was
    CHECK(folder.codes({"train.steps=${vars.widht}", use[0]}) == "E0115");
    CHECK(folder.problems({"train.steps=${vars.widht}", use[0]})[0].help ==
          "did you mean `vars.width`?");
  }

  TEST_CASE("values that refer to each other in a circle are refused with all their places") {
    const Folder folder(with_vars("  a: \"${vars.b + 1}\"\n  b: \"${vars.a + 1}\"\n"));
    const auto problems = folder.problems({"train.steps=${vars.a}"});
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].code == "E0116");
    CHECK(problems[0].message == "`vars.a` refers to itself: vars.a -> vars.b -> vars.a");
    CHECK(problems[0].positions.size() == 3);

    const Folder fields;
    CHECK(fields.codes({"model.layers=${model.layers}"}) == "E0116");
    // head_dim is derived from heads.
    CHECK(fields.codes({"model.heads=${model.head_dim}"}) == "E0116");
    CHECK(fields.codes({"train.batch=${train.micro_batch}", "train.steps=${train.batch}"}) ==
          "E0116");
  }

  TEST_CASE("one mistake makes one message, however many values hang on it") {
    const Folder folder(with_vars("  a: \"${1 / 0}\"\n"));
    CHECK(folder.codes({"train.steps=${vars.a}", "train.batch=${vars.a + 1}",
                        "layout.dp=${train.batch}"}) == "E0117");
    const Folder other;
    CHECK(other.codes({"train.steps=x", "train.batch=${train.steps}"}) == "E0109");
  }

  TEST_CASE("a value is what its field wants, checked like one that is written out") {
    const Folder folder;
    CHECK(folder.codes({"train.steps=${5 / 2}"}) == "E0109");
    CHECK(folder.codes({"train.steps=${2 - 3}"}) == "E0111");
    CHECK(folder.codes({"train.steps=${1 < 2}"}) == "E0117");
    CHECK(folder.codes({"train.steps=${name}"}) == "E0117");
    CHECK(folder.codes({"train.steps=1${1}"}) == "E0117");
    CHECK(folder.codes({"cluster.heartbeat=${4 tokens}"}) == "E0110");
    CHECK(folder.load({"cluster.heartbeat=${1s / 4}"}).job.cluster.heartbeat_seconds == 0.25);
    CHECK(folder.codes({"train.batch=${train.sequence_length}"}) == "E0110");
    CHECK(folder.codes({"train.steps=${data.files}"}) == "E0115");
    CHECK(folder.codes({"train.steps=${train}"}) == "E0115");
    CHECK(folder.codes({"train.steps=${train.bacth}"}) == "E0115");
    CHECK(folder.codes({"device=${'gpu'}"}) == "E0112");
    CHECK(folder.load({"device=${if(layout.dp > 4, 'cuda', 'cpu')}"}).job.device ==
          DeviceKind::kCpu);
  }

  TEST_CASE("$${ stands for ${ itself") {
    const Folder folder;
    CHECK(folder.load({"sample.prompt=echo $${HOME} $5"}).job.sample.prompt == "echo ${HOME} $5");
  }

  TEST_CASE("a mistake in an expression is marked in its line") {
    auto recipe = test::kGoodRecipe;
    recipe.replace(recipe.find("steps: 20"), 9, "steps: ${2 * nobody}");
    const auto problems = Folder(recipe).problems();
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].positions.at(0).column == 16);
    CHECK(problems[0].positions.at(0).length == 6);
    recipe.replace(recipe.find("${2 * nobody}"), 13, "\"${ 2 * nobody}\"");
    CHECK(Folder(recipe).problems().at(0).positions.at(0).column == 18);
  }

  TEST_CASE("rules cite what expressions refer to") {
    const Folder folder(with_vars("  ranks: 3\n"));
    const auto problems = folder.problems({"layout.dp=${vars.ranks}"});
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].code == "E0212");
    REQUIRE(problems[0].positions.size() == 3);
    CHECK(problems[0].positions[0].source == kCommandLine);
    CHECK(problems[0].positions[1].text == "  ranks: 3");
  }

  TEST_CASE("environment variables are read, recorded, and never for secrets") {
    ::setenv("FULGUR_TEST_BATCH", "16", 1);
    ::unsetenv("FULGUR_TEST_NONE");
    const Folder folder(with_vars("  b: ${env:FULGUR_TEST_BATCH}\n"));
    const auto loaded =
        folder.load({"train.batch=${vars.b * 2}", "name=${env:FULGUR_TEST_NONE:-n}"});
    CHECK(loaded.job.train.batch == 32);
    CHECK(loaded.job.name == "n");
    REQUIRE(loaded.environment.size() == 2);
    CHECK(loaded.environment[0].name == "FULGUR_TEST_NONE");
    CHECK(loaded.environment[0].value == "n");
    CHECK_FALSE(loaded.environment[0].set);
    CHECK(loaded.environment[1].name == "FULGUR_TEST_BATCH");
    CHECK(loaded.environment[1].value == "16");
    CHECK(loaded.environment[1].set);
    const Folder other;
    CHECK(other.codes({"name=${env:FULGUR_TEST_NONE}"}) == "E0119");
    for (const auto* name : {"HF_TOKEN", "MY_PASSWORD", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY"})
      CHECK(other.codes({std::string("name=${env:") + name + ":-x}"}) == "E0119");
    ::setenv("FULGUR_TEST_BATCH", "a\x01z", 1);
    CHECK(other.codes({"name=${env:FULGUR_TEST_BATCH}"}) == "E0119");
    ::unsetenv("FULGUR_TEST_BATCH");
  }

  TEST_CASE("keys and variables for secrets are refused") {
    CHECK(Folder(test::kGoodRecipe + "password: x\n").codes() == "E0124");
    CHECK(Folder(test::kGoodRecipe + "cluster: {token_value: x}\n").codes() == "E0124");
    CHECK(Folder(with_vars("  My_Secret: 3\n")).codes() == "E0124");
    const Folder folder(with_vars("  My_Secret: hunter2\n"));
    CHECK(folder.problems({"vars.password=hunter2"}).size() == 2);
    for (const auto& problem : folder.problems({"vars.password=hunter2"}))
      CHECK(problem.positions.at(0).text.str().find("hunter2") == std::string::npos);
  }

  TEST_CASE("texts that double are cut off, and so are long rows of variables") {
    std::string vars = "  a0: xxxxxxxxxxxxxxxx\n";
    for (int i = 1; i < 40; ++i) {
      const auto before = "${vars.a" + std::to_string(i - 1) + "}";
      vars.append("  a")
          .append(std::to_string(i))
          .append(": \"")
          .append(before)
          .append(before)
          .append("\"\n");
    }
    CHECK(Folder(with_vars(vars)).codes({"name=${vars.a39}"}) == "E0118");
    vars = "  a0: 1\n";
    for (int i = 1; i < 300; ++i)
      vars += "  a" + std::to_string(i) + ": \"${vars.a" + std::to_string(i - 1) + "}\"\n";
    CHECK(Folder(with_vars(vars))
              .codes({"train.steps=${vars.a80}", "name=${vars.a299}"})
              .starts_with("E0118"));
  }

  TEST_CASE("the steps of all expressions are counted together") {
    std::string sum = "1";
    for (int i = 0; i < 900; ++i)
      sum += "+1";
    std::string list;
    for (int i = 0; i < 8; ++i)
      list += "\"${" + sum + "}\", ";
    const Folder folder;
    CHECK(folder.codes({"model.softmax_layers=[" + list + "]"}) == "E0118");
  }
}

}  // namespace
}  // namespace fulgur
