#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur;
using namespace fulgur::test;

namespace {

// The loss, in nats, of a model that knows only how often each byte occurs.
double byte_entropy(const std::string& text) {
  std::map<char, double> counts;
  for (const char byte : text)
    ++counts[byte];
  double entropy = 0;
  for (const auto& [_, count] : counts) {
    const double share = count / static_cast<double>(text.size());
    entropy -= share * std::log(share);
  }
  return entropy;
}

// Trains with each of these overrides in turn, to 16 steps at the end, and compares with a run of the same
// steps on two processors.
void check_goes_on(const TinyRun& run, const std::vector<std::vector<std::string>>& parts) {
  for (const auto& overrides : parts) {
    const auto outcome = run.train(overrides);
    CAPTURE(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
  }
  const auto same = undisturbed(16);
  const auto metrics = run.metrics();
  const auto expected = same->metrics();
  REQUIRE(metrics.size() == 16);
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    CAPTURE(i);
    CHECK(metrics[i].tokens == expected[i].tokens);
    CHECK(metrics[i].loss == doctest::Approx(expected[i].loss).epsilon(1e-3));
  }
}

}  // namespace

TEST_SUITE("end_to_end/layout") {
  TEST_CASE(
      "a run goes on with another number of workers as if it had not changed, up to rounding") {
    const TinyRun run;
    check_goes_on(run, {{"train.steps=8"}, {"train.steps=16", "layout.dp=4"}});
    CHECK(std::filesystem::exists(run.checkpoint(16) / "shard-00003.h5"));
  }

  TEST_CASE("a run goes from two GPUs to one, and on to processors, as if it had not changed") {
    const TinyRun run;
    // Doctor knows, and this program needs no CUDA.
    if (!contains(run.fulgur({"doctor"}).output, "ok       GPU 1")) {
      MESSAGE("there are no two GPUs here");
      return;
    }
    check_goes_on(run, {{"train.steps=5", "device=cuda"},
                        {"train.steps=10", "device=cuda", "layout.dp=1"},
                        {"train.steps=16", "device=cpu"}});
  }

  TEST_CASE("training beats the frequencies of the bytes") {
    const TinyRun run;
    REQUIRE(run.train_to(150).exit_code == 0);
    const double entropy = byte_entropy(read_text(run.folder() / "text.txt"));
    CHECK(run.metrics().front().loss > entropy);
    CHECK(run.metrics().back().loss < entropy);
  }
}
