#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>

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

}  // namespace

TEST_SUITE("end_to_end/layout") {
  TEST_CASE(
      "a run goes on with another number of workers as if it had not changed, up to rounding") {
    const TinyRun run;
    REQUIRE(run.train_to(8).exit_code == 0);
    const auto more = run.train({"train.steps=16", "layout.dp=4"});
    CAPTURE(more.errors);
    REQUIRE(more.exit_code == 0);
    CHECK(std::filesystem::exists(run.checkpoint(16) / "shard-00003.h5"));
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

  TEST_CASE("training beats the frequencies of the bytes") {
    const TinyRun run;
    REQUIRE(run.train_to(150).exit_code == 0);
    const double entropy = byte_entropy(read_text(run.folder() / "text.txt"));
    CHECK(run.metrics().front().loss > entropy);
    CHECK(run.metrics().back().loss < entropy);
  }
}
