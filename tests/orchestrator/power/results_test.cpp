#include "orchestrator/power/results.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "orchestrator/cli/usage_error.hpp"
#include "recipes/job_json.hpp"
#include "tests/recipes/some_jobs.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

// Steps 1, 2, ... with these losses.
void write_run(const fs::path& path, const Job& job, const std::vector<double>& losses) {
  fs::create_directories(path);
  std::ofstream(path / "recipe.resolved.json") << to_json(job) << "\n";
  std::ofstream metrics(path / "metrics.jsonl");
  for (std::size_t i = 0; i < losses.size(); ++i)
    metrics << "{\"step\":" << i + 1 << ",\"loss\":" << losses[i] << "}\n";
}

Job job_with(std::uint64_t seed, double weight_decay = 0.1) {
  auto job = test::small_job();
  job.train.seed = seed;
  job.optimizer.weight_decay = weight_decay;
  return job;
}

fs::path file_with(const fs::path& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("orchestrator/power/results") {
  TEST_CASE("a run counts with the mean of its last steps, a folder with the runs below") {
    const test::TemporaryDirectory directory;
    const auto& root = directory.path();
    write_run(root / "a" / "trial-1", job_with(1), {9, 4, 2});
    write_run(root / "a" / "trial-2", job_with(2), {9, 6, 3});
    // Put aside by the second run, and none of its own.
    write_run(root / "a" / "trial-2" / "before-attempt-2", job_with(2), {1, 1, 1});
    write_run(root / "b", job_with(1, 0.2), {9, 1, 0});
    const auto read = read_runs({{root / "a"}, {root / "b"}}, "loss", 2);
    REQUIRE(read.groups.size() == 2);
    CHECK(read.groups[0].values == std::vector{3.0, 4.5});
    CHECK(read.groups[0].runs[1] == (root / "a" / "trial-2").string());
    CHECK(read.groups[1].values == std::vector{0.5});
    CHECK(read.differences == std::vector<std::string>{"optimizer.weight_decay"});
    CHECK(read_runs({{root / "a"}}, "loss", 1).groups[0].values == std::vector{2.0, 3.0});
  }

  TEST_CASE("runs that are no repetitions of each other are refused") {
    const test::TemporaryDirectory directory;
    const auto& root = directory.path();
    write_run(root / "a", job_with(1), {3, 2});
    write_run(root / "twin", job_with(1), {3, 2});
    write_run(root / "other", job_with(2, 0.3), {3, 2});
    auto elsewhere = job_with(5);
    elsewhere.data.files = {"/elsewhere.txt"};
    write_run(root / "elsewhere", elsewhere, {3, 2});
    write_run(root / "short", job_with(3), {3});
    write_run(root / "infinite", job_with(4), {3});
    std::ofstream(root / "infinite" / "metrics.jsonl") << "{\"step\":1,\"loss\":null}\n";
    fs::create_directories(root / "empty");
    const auto problem = [&](const std::vector<fs::path>& paths, const std::string& metric,
                             std::int64_t steps) {
      return refusal([&] { read_runs({paths}, metric, steps); });
    };
    CHECK(contains(problem({root / "a", root / "twin"}, "loss", 1), "same seed 1"));
    CHECK(contains(problem({root / "a", root / "other"}, "loss", 1), "optimizer.weight_decay"));
    CHECK(contains(problem({root / "a", root / "elsewhere"}, "loss", 1), "differ in data.files"));
    CHECK(contains(problem({root / "a", root / "short"}, "loss", 1), "ends with step 1"));
    CHECK(contains(problem({root / "short"}, "loss", 2), "has 1 steps"));
    CHECK(contains(problem({root / "infinite"}, "loss", 1), "metrics.jsonl:1: loss is no number"));
    CHECK(contains(problem({root / "a"}, "los", 1), "no field los; it has step, loss"));
    CHECK(contains(problem({root / "empty"}, "loss", 1), "has no run"));
    CHECK(contains(problem({root / "nowhere"}, "loss", 1), "is no folder"));
    // A variant must have been trained as long as the baseline.
    CHECK(contains(refusal([&] {
                     read_runs({{root / "a"}, {root / "short"}}, "loss", 1);
                   }),
                   "ends with step 1"));
  }

  TEST_CASE("the trials of a sweep belong to the group whose argument they have") {
    const test::TemporaryDirectory directory;
    std::ofstream trials(directory.path() / "trials.jsonl");
    for (const std::uint64_t seed : {1, 2, 3, 4}) {
      const double decay = seed > 2 ? 0.2 : 0.1;
      const auto name = "trial-" + std::to_string(seed);
      write_run(directory.path() / "trials" / name, job_with(seed, decay),
                {5, static_cast<double>(seed)});
      trials << R"({"arguments":["train.seed=)" << seed << R"(","optimizer.weight_decay=)" << decay
             << R"("],"exit_code":)" << (seed == 4 ? 1 : 0) << R"(,"directory":"elsewhere/)" << name
             << "\"}\n";
    }
    trials.close();
    const auto find = [&](const char* argument) {
      return find_trials(directory.path(), {argument});
    };
    const auto baseline = find("optimizer.weight_decay=0.1");
    const auto variant = find("optimizer.weight_decay=0.2");
    CHECK(variant.size() == 1);  // the other failed
    const auto groups = read_runs({baseline, variant}, "loss", 1);
    CHECK(groups.groups[0].values == std::vector{1.0, 2.0});
    CHECK(groups.groups[1].values == std::vector{3.0});
    CHECK(groups.differences == std::vector<std::string>{"optimizer.weight_decay"});
    CHECK(contains(refusal([&] { find("optimizer.weight_decay=1"); }),
                   "there are optimizer.weight_decay=0.1 optimizer.weight_decay=0.2 train.seed=1"));
  }

  TEST_CASE("the rows of a table belong to the group that they name") {
    const test::TemporaryDirectory directory;
    const auto table = file_with(directory.path() / "results.jsonl",
                                 "{\"mix\":{\"web\":1},\"seed\":1,\"score\":0.5}\n\n"
                                 "{\"mix\":{\"web\":2},\"seed\":1,\"score\":0.75}\n"
                                 "{\"mix\":{\"web\":1},\"seed\":2,\"score\":0.25}\n");
    const auto groups = read_table(table, {"1", "2"}, "mix.web", "score");
    CHECK(groups[0].values == std::vector{0.5, 0.25});
    CHECK(groups[1].values == std::vector{0.75});
    CHECK(groups[0].without_seed == 0);
    std::ofstream(directory.path() / "unnamed.jsonl") << "{\"mix\":1,\"score\":2}\n";
    CHECK(read_table(directory.path() / "unnamed.jsonl", {"1"}, "mix", "score")[0].without_seed ==
          1);
    CHECK(
        contains(refusal([&] { read_table(table, {"3"}, "mix.web", "score"); }), "there are 1, 2"));
    CHECK(contains(refusal([&] { read_table(table, {"1"}, "mix.books", "score"); }), ":1 has no"));
    std::ofstream(table, std::ios::app) << "{\"mix\":{\"web\":2},\"seed\":1,\"score\":1}\n";
    CHECK(
        contains(refusal([&] { read_table(table, {"2"}, "mix.web", "score"); }), ":5: the seed 1"));
    std::ofstream(table, std::ios::app) << "[]\n";
    CHECK(
        contains(refusal([&] { read_table(table, {"1"}, "mix.web", "score"); }), ":6 is no JSON"));
  }

  TEST_CASE("an item is worth the log softmax of its right choice") {
    const test::TemporaryDirectory directory;
    const auto items = file_with(directory.path() / "items.jsonl",
                                 "{\"choices\":[-1, -1, -1, -1],\"answer\":2}\n"
                                 "{\"choices\":[-1000, -1001],\"answer\":1}\n"
                                 "{\"log_acc_norm2\":-0.25}\n");
    const auto values = read_items(items, "log_acc_norm2");
    REQUIRE(values.size() == 3);
    CHECK(values[0] == doctest::Approx(-std::log(4.0)));
    CHECK(values[1] == doctest::Approx(-std::log(1 + std::exp(1.0))));
    CHECK(values[2] == -0.25);
    file_with(items, "{\"choices\":[-1],\"answer\":1}\n");
    CHECK(contains(refusal([&] { read_items(items, "x"); }), "none of the choices"));
    file_with(items, "{\"choices\":[],\"answer\":0}\n");
    CHECK(contains(refusal([&] { read_items(items, "x"); }), "none of the choices"));
    file_with(items, "{\"x\":1}\n");
    CHECK(contains(refusal([&] { read_items(items, "x"); }), "one item"));
  }
}

}  // namespace fulgur
