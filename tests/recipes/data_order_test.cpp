#include "recipes/data_order.hpp"

#include <doctest/doctest.h>

#include <map>
#include <numeric>
#include <stdexcept>

#include "recipes/phases.hpp"
#include "tests/recipes/dsl/recipe_folder.hpp"

namespace fulgur {
namespace {

using Read = std::vector<std::int64_t>;

// Three sources through phases that change everything that matters: batch, length, mix, with a transition
// and additions.
const std::string kSources = R"(
data:
  files: []
  sources:
    - {name: short, files: [text.txt], weight: 3}
    - {name: long, files: [text.txt], weight: 0}
    - {name: answers, files: [text.txt], weight: 1}
phases:
  - {from: 9000, sequence_length: 96, mix: {short: 1, long: 4}, mix_over: 20k}
  - {from: 40k, batch: 12, micro_batch: 4, addition: {answers: 0.25}}
  - {from: 80k, sequence_length: 200, mix: {short: 1}, mix_over: 1}
)";

Job mixed_job(const std::vector<std::string>& overrides = {}) {
  const auto text = test::kGoodRecipe;
  const auto data = text.find("data:");
  const auto behind = text.find("\ntrain:", data);
  return test::RecipeFolder(text.substr(0, data) + text.substr(behind) + kSources)
      .load(overrides)
      .job;
}

// Goes from step to step as a run does, and calls `look` with what has been seen before each.
template <class Look>
void walk(const Job& job, std::int64_t from, std::int64_t until, const Look& look) {
  for (auto tokens = from; tokens < until;) {
    const auto train = train_of_phase(job, phase_at(job, tokens));
    look(tokens, train);
    tokens += train.batch * train.sequence_length;
  }
}

// Reads all samples of a run, and checks that each begins where the one before it of its source ended.
Read read_all(const Job& job, const DataOrder& order, std::int64_t from, std::int64_t until,
              Read read) {
  walk(job, from, until, [&](std::int64_t tokens, const TrainSpec& train) {
    REQUIRE(order.read(tokens) == read);
    for (std::int64_t i = 0; i < train.batch; ++i) {
      const auto place = order.sample(tokens, i);
      REQUIRE(place.token == read[place.source]);
      read[place.source] += train.sequence_length;
    }
    CHECK(order.read(tokens, train.batch) == read);
  });
  return read;
}

TEST_SUITE("recipes/data_order") {
  TEST_CASE("every source is read without a gap through all phases") {
    const auto job = mixed_job();
    const auto read = read_all(job, DataOrder(job, 0, {0, 0, 0}), 0, 150'000, {0, 0, 0});
    const auto total = std::accumulate(read.begin(), read.end(), std::int64_t{0});
    CHECK(total >= 150'000);
  }

  TEST_CASE("the mix is that of the phase, on its way as on a straight line") {
    const auto job = mixed_job();
    const DataOrder order(job, 0, {0, 0, 0});
    const auto at = [&](std::int64_t tokens) {
      Read read;
      walk(job, 0, tokens + 1, [&](std::int64_t begin, const TrainSpec&) {
        if (begin <= tokens) read = order.read(begin);
      });
      return read;
    };
    // Before the first phase: 3 to 1 to the last source.
    const auto first = at(8192);
    CHECK(std::abs(first[0] - 6144) <= 256);
    CHECK(first[1] == 0);
    // Half of the way from (3/4, 0, 1/4) to (1/5, 4/5, 0), a source has 3/8 of the way's end.
    const auto begin = at(9216), half = at(19216);
    const double seen = 19216 - 9216;
    CHECK(std::abs(static_cast<double>(half[1] - begin[1]) - seen * 0.8 / 4) <= 600);
    CHECK(std::abs(static_cast<double>(half[2] - begin[2]) - seen * 0.25 * 0.75) <= 600);
    // In its last fifth the second phase has a quarter of answers, and the rest is divided 1 to 4.
    const auto late = at(73'000), end = at(79'500);
    const auto all = std::accumulate(end.begin(), end.end(), std::int64_t{0}) -
                     std::accumulate(late.begin(), late.end(), std::int64_t{0});
    CHECK(std::abs(static_cast<double>(end[2] - late[2]) - 0.25 * static_cast<double>(all)) <= 200);
    CHECK(std::abs(static_cast<double>(end[1] - late[1]) - 0.6 * static_cast<double>(all)) <= 200);
    const auto before = at(60'000);
    CHECK(at(70'000)[2] == before[2]);  // none before it
  }

  TEST_CASE("an order that begins anywhere goes on from what was read there") {
    const auto job = mixed_job();
    const DataOrder whole(job, 0, {0, 0, 0});
    const auto changed = mixed_job({"data.sources.weight=[1, 1, 1]"});
    walk(job, 0, 100'000, [&](std::int64_t tokens, const TrainSpec&) {
      const auto read = whole.read(tokens);
      read_all(changed, DataOrder(changed, tokens, read), tokens, tokens + 30'000, read);
    });
    CHECK_THROWS_AS(DataOrder(job, 5000, {0, 0, 0}).read(4999), std::invalid_argument);
    CHECK_THROWS_AS(DataOrder(job, 0, {0, 0}), std::invalid_argument);
    CHECK_THROWS_AS(DataOrder(job, -1, {0, 0, 0}), std::invalid_argument);
  }

  TEST_CASE("the layout and the length of the run change no sample") {
    const auto job = mixed_job(), other = mixed_job({"layout.dp=2", "train.steps=7"});
    const DataOrder a(job, 0, {0, 0, 0}), b(other, 0, {0, 0, 0});
    walk(job, 0, 100'000,
         [&](std::int64_t tokens, const TrainSpec&) { CHECK(a.read(tokens) == b.read(tokens)); });
  }

  TEST_CASE("a plain list of files is one source that is read from end to end") {
    const test::RecipeFolder folder;
    const auto job = folder.load().job;
    const DataOrder order(job, 0, {0});
    const auto step = job.train.batch * job.train.sequence_length;
    CHECK(order.sample(3 * step, 2).token == 3 * step + 2 * job.train.sequence_length);
    CHECK(order.read(7 * step) == Read{7 * step});
  }
}

}  // namespace
}  // namespace fulgur
