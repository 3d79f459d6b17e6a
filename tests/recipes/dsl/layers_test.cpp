#include "recipes/dsl/layers.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tests/recipes/dsl/recipe_folder.hpp"

namespace fulgur {
namespace {

using Folder = test::RecipeFolder;

TEST_SUITE("recipes/dsl/layers") {
  TEST_CASE("mappings merge, lists and single values replace") {
    const Folder folder("extends: [base.yaml, bases/size.yaml]\nname: top\nmodel: {layers: 6}\n");
    folder.add("base.yaml", test::kGoodRecipe + "layout: {dp: 2}\nmemory: {recompute: full}\n");
    folder.add("bases/size.yaml",
               "model: {heads: 8, layers: 5, softmax_layers: [0]}\ndata: {files: [more.txt]}\n");
    folder.add("bases/more.txt", "more\n");
    const auto job = folder.load({"model.softmax_layers=[1]"}).job;
    CHECK(job.name == "top");
    CHECK(job.model.layers == 6);
    CHECK(job.model.heads == 8);
    CHECK(job.model.hidden == 64);
    CHECK(job.layout.dp == 2);
    CHECK(job.memory.recompute == Recompute::kFull);
    CHECK(job.model.softmax_layers == std::vector<std::int64_t>{1});
    REQUIRE(job.data.files.size() == 1);  // the list was replaced, and is relative to its own file
    CHECK(job.data.files[0].ends_with("/bases/more.txt"));
  }

  TEST_CASE("every layer that sets a field is remembered, the one that counts first") {
    const Folder folder("extends: base.yaml\nmodel: {layers: 6}\n");
    folder.add("base.yaml", test::kGoodRecipe);
    const auto provenance = folder.load({"model.layers=7", "model.layers=8"}).provenance;
    const auto& chain = provenance.settings.at("model.layers");
    REQUIRE(chain.size() == 4);
    CHECK(chain[0].value == "8");
    CHECK(chain[1].position.text == "model.layers=7");
    CHECK(chain[2].position.source == folder.path.string());
    CHECK(chain[2].position.line == 2);
    CHECK(chain[3].value == "4");
    CHECK(chain[3].position.source == (folder.directory.path() / "base.yaml").string());
    CHECK(provenance.settings.at("model.hidden").size() == 1);
  }

  TEST_CASE("an empty section leaves that of the base as it is") {
    const Folder folder("extends: base.yaml\nmodel:\n");
    folder.add("base.yaml", test::kGoodRecipe);
    CHECK(folder.load().job.model.layers == 4);
  }

  TEST_CASE("a mistake in a base is shown there") {
    const Folder folder("extends: base.yaml\n");
    folder.add("base.yaml", test::kGoodRecipe + "layuot: {dp: 2}\n");
    const auto problems = folder.problems();
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].code == "E0107");
    CHECK(problems[0].positions.at(0).source.str().ends_with("/base.yaml"));
  }

  TEST_CASE("a rule cites the lines of several files") {
    const Folder folder("extends: base.yaml\nlayout: {dp: 3}\n");
    folder.add("base.yaml", test::kGoodRecipe);
    const auto problems = folder.problems();
    REQUIRE(problems.size() == 1);
    REQUIRE(problems[0].positions.size() == 2);
    CHECK(problems[0].positions[0].source.str().ends_with("/recipe.yaml"));
    CHECK(problems[0].positions[1].source.str().ends_with("/base.yaml"));
  }

  TEST_CASE("nothing outside of the recipe's folder is read") {
    const test::TemporaryDirectory elsewhere;
    test::write_file(elsewhere.path() / "base.yaml", test::kGoodRecipe);
    const auto outside = elsewhere.path() / "base.yaml";
    CHECK(Folder("extends: " + outside.string() + "\n").codes() == "E0121");
    CHECK(Folder("extends: ../base.yaml\n").codes() == "E0121");
    CHECK(Folder("extends: a/../../base.yaml\n").codes() == "E0121");
    const Folder through_link("extends: link.yaml\n");
    std::filesystem::create_symlink(outside, through_link.directory.path() / "link.yaml");
    CHECK(through_link.codes() == "E0121");
    const Folder through_folder("extends: link/base.yaml\n");
    std::filesystem::create_directory_symlink(elsewhere.path(),
                                              through_folder.directory.path() / "link");
    CHECK(through_folder.codes() == "E0121");
    const Folder inside("extends: a/b.yaml\n");  // up again, but not out
    inside.add("a/b.yaml", "extends: ../base.yaml\n");
    inside.add("base.yaml", test::kGoodRecipe);
    CHECK(inside.codes().empty());
  }

  TEST_CASE("a folder whose name only begins like the recipe's is outside") {
    const Folder folder("extends: ../" + std::string("sibling/base.yaml\n"));
    const test::TemporaryDirectory parent;
    const auto own = parent.path() / "run", other = parent.path() / "run-2";
    std::filesystem::create_directories(own);
    std::filesystem::create_directories(other);
    test::write_file(other / "base.yaml", test::kGoodRecipe);
    test::write_file(own / "r.yaml", "extends: ../run-2/base.yaml\n");
    CHECK_THROWS_AS(read_layers(own / "r.yaml"), RecipeError);
    CHECK(folder.codes() == "E0121");
  }

  TEST_CASE("circles, deep rows and many bases are refused") {
    const Folder self("extends: recipe.yaml\n");
    CHECK(self.codes() == "E0122");
    const Folder circle("extends: a.yaml\n");
    circle.add("a.yaml", "extends: b.yaml\n");
    circle.add("b.yaml", "\nextends: a.yaml\n");
    const auto problems = circle.problems();
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].code == "E0122");
    CHECK(problems[0].positions.size() == 2);

    const auto row = [](int n) {
      const Folder folder("extends: b1.yaml\n");
      for (int i = 1; i < n; ++i)
        folder.add("b" + std::to_string(i) + ".yaml",
                   "extends: b" + std::to_string(i + 1) + ".yaml\n");
      folder.add("b" + std::to_string(n) + ".yaml", test::kGoodRecipe);
      return folder.codes();
    };
    CHECK(row(static_cast<int>(kMaxRecipeDepth) - 1).empty());
    CHECK(row(static_cast<int>(kMaxRecipeDepth)) == "E0122");

    std::string list = "extends: [base.yaml";
    for (std::size_t i = 0; i < kMaxRecipeFiles; ++i)
      list += ", base.yaml";
    const Folder many(list + "]\n");
    many.add("base.yaml", test::kGoodRecipe);
    CHECK(many.codes() == "E0122");
  }

  TEST_CASE("bases share the limits of one recipe") {
    const Folder folder("extends: [a.yaml, b.yaml]\n");
    std::string values = "data: {files: [";
    for (int i = 0; i < 60000; ++i)
      values += "x,";
    folder.add("a.yaml", test::kGoodRecipe);
    folder.add("b.yaml", values + "]}\n");
    const auto large_together = [&] {
      const auto problems = folder.problems();
      return problems.at(0).message == "more than 100000 values, aliases followed";
    };
    CHECK_FALSE(large_together());
    folder.add("a.yaml", values + "]}\n");
    CHECK(large_together());
    const Folder large("extends: [a.yaml, b.yaml]\n");
    large.add("a.yaml", test::kGoodRecipe + "#" + std::string(700000, 'x') + "\n");
    large.add("b.yaml", "name: x\n#" + std::string(700000, 'x') + "\n");
    CHECK(large.codes() == "E0101");
  }

  TEST_CASE("a base that is missing or is no recipe is shown where it is named") {
    const Folder folder("name: x\nextends: [nowhere.yaml]\n");
    const auto problems = folder.problems();
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].code == "E0101");
    REQUIRE(problems[0].positions.size() == 1);
    CHECK(problems[0].positions[0].line == 2);
    CHECK(problems[0].positions[0].column == 11);
    CHECK(Folder("extends: []\n").codes() == "E0109");
    CHECK(Folder("extends: {a: b}\n").codes() == "E0109");
    CHECK(Folder("extends:\n").codes() == "E0109");
  }
}

}  // namespace
}  // namespace fulgur
