#include "orchestrator/run/journal.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <limits>
#include <sstream>

#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

namespace {

std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string line(std::int64_t step) {
  StepDone done;
  done.step = step;
  return metrics_line(done, {});
}

}  // namespace

TEST_SUITE("orchestrator/run/journal") {
  TEST_CASE("a step is a line of JSON with exact numbers, and null where JSON has none") {
    StepDone step;
    step.step = 3;
    step.tokens = 12288;
    step.loss = 0.1 + 0.2;
    step.gradient_norm = 1e-7;
    step.tokens_per_second = std::numeric_limits<double>::infinity();
    step.drop_rate = 0.125;
    step.expert_counts = {5, 0, 3};
    const Utilisation use{.memory = 4096, .tflops = 0.5, .mfu = 0.25};
    CHECK(metrics_line(step, use) ==
          R"({"step":3,"tokens":12288,"loss":0.30000000000000004,"aux_loss":0,)"
          R"("gradient_norm":1e-07,"learning_rate":0,"seconds":0,"tokens_per_second":null,)"
          R"("tflops":0.5,"mfu":0.25,"memory":4096,)"
          R"("drop_rate":0.125,"local_drop_rate":0,"expert_counts":[5,0,3]})");
  }

  TEST_CASE("a run that goes on does not keep the steps that it does again") {
    const test::TemporaryDirectory folder;
    const auto path = folder.path() / "metrics.jsonl";
    CHECK(drop_steps_behind(path, 5) == 0);
    CHECK_FALSE(std::filesystem::exists(path));
    LineFile file(path);
    for (int step = 1; step <= 4; ++step)
      file.append(line(step));
    CHECK(drop_steps_behind(path, 4) == 0);
    CHECK(drop_steps_behind(path, 2) == 2);
    CHECK(contents(path) == line(1) + "\n" + line(2) + "\n");
  }

  TEST_CASE("a line that was cut short by a crash is dropped") {
    const test::TemporaryDirectory folder;
    const auto path = folder.path() / "metrics.jsonl";
    std::ofstream(path) << line(1) << "\n" << line(2).substr(0, 20);
    CHECK(drop_steps_behind(path, 9) == 1);
    CHECK(contents(path) == line(1) + "\n");
  }

  TEST_CASE("an event is one line whatever its text") {
    const test::TemporaryDirectory folder;
    EventLog log(folder.path() / "events.jsonl", 2);
    log.write("failed", "two\nlines, \"quoted\" \xff");
    const auto text = contents(folder.path() / "events.jsonl");
    CHECK(text.find('\n') == text.size() - 1);
    CHECK(text.find(R"("attempt":2,"event":"failed","text":"two\nlines, \"quoted\" ?"})") !=
          std::string::npos);
  }
}
