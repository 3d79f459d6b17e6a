#include "recipes/canonical.hpp"

#include <doctest/doctest.h>

#include <string>

#include "recipes/job_json.hpp"
#include "tests/recipes/dsl/recipe_folder.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

TEST_SUITE("recipes/canonical") {
  TEST_CASE("the canonical text of a job loads as the same job") {
    const test::RecipeFolder folder;
    auto job =
        folder.load({"layout.dp=2", "optimizer.eps=1e-10", "model.softmax_layers=[0, 2]"}).job;
    job.sample.prompt = "a \"b\"\\ \n\t${x} $${y} \xc3\xa9 '#: -";
    job.data.document_separator = "null";
    job.run_directory = "010";
    const test::RecipeFolder again(to_recipe(job));
    CHECK(again.load().job == job);
    CHECK(to_recipe(again.load().job) == to_recipe(job));
  }

  TEST_CASE("a part has the fields of its category and no others") {
    const auto job = test::small_job();
    std::size_t lines = 0;
    for (const auto category : {Category::kIdentity, Category::kLayout, Category::kRuntime}) {
      const auto text = to_recipe(job, category);
      const auto behind = "# " + std::string(resume_text(category)) + "\n";
      for (auto at = text.find("# "); at != std::string::npos; at = text.find("# ", at + 1)) {
        CHECK(text.substr(at).starts_with(behind));
        ++lines;
      }
    }
    CHECK(lines == fields().size());
  }

  TEST_CASE("jobs that differ in one field have texts that differ in its line") {
    auto job = test::small_job();
    const auto before = to_recipe(job);
    job.layout.tp = 2;
    const auto after = to_recipe(job);
    CHECK(before != after);
    CHECK(after.find("  tp: 2  # layout\n") != std::string::npos);
    CHECK(before.size() == after.size());
  }
}

}  // namespace
}  // namespace fulgur
