#include "recipes/dsl/load.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "recipes/job_json.hpp"
#include "tests/recipes/dsl/recipe_folder.hpp"

namespace fulgur {
namespace {

using Folder = test::RecipeFolder;

TEST_SUITE("recipes/dsl/load") {
  TEST_CASE("a recipe becomes a job with defaults and derived values") {
    const Folder folder;
    const auto job = folder.load().job;
    CHECK(job.name == "good");
    CHECK(job.run_directory == "runs/good");
    CHECK(job.model.head_dim == 16);
    CHECK(job.model.kv_heads == 4);
    CHECK(job.model.rotary_dim == 8);
    CHECK(job.model.moe_alpha == doctest::Approx(std::pow(8.0, 0.25)));
    CHECK(job.train.micro_batch == 8);
    CHECK(job.optimizer.beta2 == 0.95);
    CHECK(job.layout == Layout{});
    const auto file = std::filesystem::canonical(folder.directory.path()) / "text.txt";
    CHECK(job.data.files == std::vector<std::string>{file.string()});
    CHECK(job_from_json(to_json(job)) == job);
  }

  TEST_CASE("the quickstart recipe loads") {
    const Folder folder;
    const auto recipe = test::source_directory() / "recipes" / "quickstart.yaml";
    const auto text = (folder.directory.path() / "text.txt").string();
    const auto job = load_recipe(recipe, {"data.files=" + text}).job;
    CHECK(job.layout.dp == 4);
    CHECK(attention_kind(job.model, 3) == AttentionKind::kSoftmax);
    CHECK(job.data.document_separator == "%");
  }

  TEST_CASE("the quickstart for GPUs trains the same model on the same text") {
    const Folder folder;
    const auto recipes = test::source_directory() / "recipes";
    const auto text = "data.files=" + (folder.directory.path() / "text.txt").string();
    const auto cpu = load_recipe(recipes / "quickstart.yaml", {text}).job;
    const auto gpu = load_recipe(recipes / "quickstart-gpu.yaml", {text}).job;
    CHECK(gpu.device == DeviceKind::kCuda);
    CHECK(identity_hash(gpu) == identity_hash(cpu));
  }

  TEST_CASE("every value that is given has its position, and others have none") {
    const Folder folder;
    const auto positions = folder.load().provenance.positions;
    const auto& layers = positions.at("model.layers");
    CHECK(layers.line == 4);
    CHECK(layers.column == 11);
    CHECK(layers.length == 1);
    CHECK(layers.text == "  layers: 4");
    CHECK(layers.source == folder.path.string());
    CHECK(positions.at("optimizer.learning_rate.peak").column == 25);
    CHECK(positions.at("data.files[0]").column == 11);
    CHECK(positions.at("train").line == 11);
    CHECK_FALSE(positions.contains("model.head_dim"));
  }

  TEST_CASE("overrides win over the file, later ones over earlier ones") {
    const Folder folder;
    const auto loaded = folder.load({"train.steps=1k", "layout.dp=2", "train.steps=7",
                                     "cluster.heartbeat=250ms", "model.softmax_layers=[0, 2]",
                                     "optimizer={weight_decay: 0, learning_rate: {peak: 2e-3}}"});
    CHECK(loaded.job.train.steps == 7);
    CHECK(loaded.job.layout.dp == 2);
    CHECK(loaded.job.cluster.heartbeat_seconds == 0.25);
    CHECK(loaded.job.model.softmax_layers == std::vector<std::int64_t>{0, 2});
    CHECK(loaded.job.optimizer.weight_decay == 0);
    CHECK(loaded.job.optimizer.learning_rate.peak == 2e-3);
    CHECK(loaded.job.optimizer.beta1 == 0.9);
    const auto& at = loaded.provenance.positions.at("train.steps");
    CHECK(at.source == kCommandLine);
    CHECK(at.line == 0);
    CHECK(at.text == "train.steps=7");
  }

  TEST_CASE("a text in an override is taken as it is") {
    const Folder folder;
    const auto job = folder
                         .load({"data.document_separator=%", "sample.prompt=[a]: \"b\" = #c, {d}",
                                "name=010", "run_directory=/x/y=z"})
                         .job;
    CHECK(job.data.document_separator == "%");
    CHECK(job.sample.prompt == "[a]: \"b\" = #c, {d}");
    CHECK(job.name == "010");
    CHECK(job.run_directory == "/x/y=z");
    CHECK(folder.load({"data.document_separator="}).job.data.document_separator.empty());
  }

  TEST_CASE("an override that is wrong is shown as it was written") {
    const Folder folder;
    const auto problems =
        folder.problems({"train.bacth=3", "steps=4", "layout.dp", "=3", "train.batch=x",
                         "data.files=[a", "model=3", "model.layers.x=1"});
    REQUIRE(problems.size() == 8);
    for (const auto& problem : problems) {
      CAPTURE(problem.message);
      REQUIRE(problem.positions.size() == 1);
      CHECK(problem.positions[0].source == kCommandLine);
    }
    CHECK(problems[0].code == "E0107");
    CHECK(problems[0].help.starts_with("did you mean `batch`?"));
    CHECK(problems[1].help.starts_with("this key exists under `train`"));
    CHECK(problems[2].code == "E0113");
    CHECK(problems[3].code == "E0113");
    CHECK(problems[4].code == "E0102");
    CHECK(problems[5].code == "E0109");
    CHECK(problems[6].code == "E0107");
    CHECK(problems[7].message == "`train.batch` must be an integer, not `x`");
  }

  TEST_CASE("a rule cites the file and the command line") {
    const Folder folder;
    const auto problems = folder.problems({"layout.dp=3"});
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].code == "E0212");
    REQUIRE(problems[0].positions.size() == 2);
    CHECK(problems[0].positions[0].source == kCommandLine);
    CHECK(problems[0].positions[1].line == 14);  // batch, which micro_batch was derived from
  }

  TEST_CASE("an override heals what the file has wrong") {
    auto recipe = test::kGoodRecipe;
    recipe.replace(recipe.find("steps: 20"), 9, "steps: no");
    const Folder folder(recipe);
    CHECK(folder.problems().size() == 1);
    CHECK(folder.load({"train.steps=3"}).job.train.steps == 3);
  }

  TEST_CASE("paths in a recipe are relative to it, on the command line to the current directory") {
    const Folder folder;
    const auto before = std::filesystem::current_path();
    const test::TemporaryDirectory elsewhere;
    test::write_file(elsewhere.path() / "other.txt", "x");
    std::filesystem::current_path(elsewhere.path());
    const auto from_file = folder.load().job.data.files;
    const auto from_argument = folder.load({"data.files=other.txt"}).job.data.files;
    std::filesystem::current_path(before);
    REQUIRE(from_file.size() == 1);
    CHECK(std::filesystem::path(from_file[0]).filename() == "text.txt");
    REQUIRE(from_argument.size() == 1);
    CHECK(std::filesystem::equivalent(from_argument[0], elsewhere.path() / "other.txt"));
  }

  TEST_CASE("anchors and aliases of whole values work") {
    auto recipe = test::kGoodRecipe;
    recipe.replace(recipe.find("layers: 4"), 9, "layers: &four 4");
    recipe.replace(recipe.find("heads: 4"), 8, "heads: *four");
    const Folder folder(recipe);
    const auto loaded = folder.load();
    CHECK(loaded.job.model.heads == 4);
    CHECK(loaded.provenance.positions.at("model.heads").line == 6);
  }

  TEST_CASE("a recipe that cannot be read is refused by its path") {
    const Folder folder;
    const auto refused = [](const std::filesystem::path& path) {
      try {
        load_recipe(path);
      } catch (const RecipeError& error) {
        return std::string(error.what());
      }
      return std::string("taken");
    };
    const auto nothing = folder.directory.path() / "nothing.yaml";
    CHECK(refused(nothing) == "error[E0101]: " + nothing.string() + ": there is no such file\n");
    const auto directory = folder.directory.path();
    CHECK(refused(directory) == "error[E0101]: " + directory.string() + ": this is not a file\n");
  }
}

}  // namespace
}  // namespace fulgur
