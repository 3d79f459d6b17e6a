#include "recipes/pipeline_layers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <stdexcept>

#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

using Layers = std::vector<std::int64_t>;

double most_expensive(const std::vector<double>& costs, double tail, const Layers& cuts) {
  double most = 0;
  std::size_t layer = 0;
  for (std::size_t piece = 0; piece < cuts.size(); ++piece) {
    double cost = piece + 1 == cuts.size() ? tail : 0;
    for (std::int64_t i = 0; i < cuts[piece]; ++i)
      cost += costs[layer++];
    most = std::max(most, cost);
  }
  return most;
}

// The least of most_expensive() over every way to cut: a bit set between two layers is a cut.
double best_of_all(const std::vector<double>& costs, double tail, std::int64_t pieces) {
  double best = INFINITY;
  for (unsigned cuts = 0; cuts < 1U << (costs.size() - 1); ++cuts) {
    Layers layers = {1};
    for (std::size_t i = 0; i + 1 < costs.size(); ++i) {
      if ((cuts >> i & 1U) != 0)
        layers.push_back(1);
      else
        ++layers.back();
    }
    if (static_cast<std::int64_t>(layers.size()) == pieces)
      best = std::min(best, most_expensive(costs, tail, layers));
  }
  return best;
}

Job job_with(int pp, std::int64_t virtual_stages) {
  auto job = test::small_job();
  job.layout.pp = pp;
  job.pipeline.virtual_stages = virtual_stages;
  return job;
}

TEST_SUITE("recipes/pipeline_layers") {
  TEST_CASE("no other cut has a cheaper most expensive piece") {
    std::mt19937 random(7);
    for (int i = 0; i < 300; ++i) {
      // Whole numbers, so that sums are exact in any order.
      std::vector<double> costs(1 + random() % 10);
      for (auto& cost : costs)
        cost = static_cast<double>(random() % (i % 2 == 0 ? 4 : 1000));
      const auto tail = static_cast<double>(random() % 1500);
      for (std::int64_t pieces = 1; pieces <= static_cast<std::int64_t>(costs.size()); ++pieces) {
        CAPTURE(i);
        CAPTURE(pieces);
        const auto cuts = balanced_cuts(costs, tail, pieces);
        REQUIRE(static_cast<std::int64_t>(cuts.size()) == pieces);
        CHECK(*std::min_element(cuts.begin(), cuts.end()) >= 1);
        CHECK(std::accumulate(cuts.begin(), cuts.end(), std::int64_t{0}) ==
              static_cast<std::int64_t>(costs.size()));
        CHECK(most_expensive(costs, tail, cuts) == best_of_all(costs, tail, pieces));
      }
    }
  }

  TEST_CASE("equal layers are cut evenly, and the head takes the place of some") {
    const std::vector<double> equal(9, 1.0);
    CHECK(balanced_cuts(equal, 0, 3) == Layers{3, 3, 3});
    CHECK(balanced_cuts(equal, 0, 4) == Layers{2, 2, 2, 3});
    CHECK(balanced_cuts(equal, 2, 3) == Layers{4, 3, 2});
    CHECK(balanced_cuts(equal, 100, 2) == Layers{8, 1});
    CHECK(balanced_cuts(equal, 0, 9) == Layers(9, 1));
    CHECK_THROWS_AS(balanced_cuts(equal, 0, 10), std::invalid_argument);
    CHECK_THROWS_AS(balanced_cuts(equal, 0, 0), std::invalid_argument);
  }

  TEST_CASE("the layers of the released model cost what their matrices hold, and attention") {
    const auto model = test::minimax_text_01();
    // Twice the parameters that work on a token: attention, router, two experts.
    const double mixture = 2.0 * (6144 * 32 + 2 * 3 * 6144 * 9216);
    const double lightning = 2.0 * 5 * 6144 * 8192 + 4.0 * 8192 * (128 + 128);
    const double softmax = 2.0 * 6144 * (2 * 8192 + 2 * 1024);
    CHECK(layer_flops(model, 8191, 0) == mixture + lightning);
    CHECK(layer_flops(model, 8191, 7) == mixture + softmax + 4.0 * 8192 * 4096);
    CHECK(layer_flops(model, 1000000, 7) > 14 * layer_flops(model, 1000000, 0));
    CHECK(head_flops(model) == 2.0 * 6144 * 200064);
  }

  TEST_CASE("a piece has fewer layers where softmax attention is expensive") {
    auto job = job_with(2, 1);
    job.model = test::minimax_text_01();
    job.model.layers = 16;
    job.model.softmax_layers = {12, 13};
    job.model.vocabulary = 1000;
    job.train.sequence_length = 128;
    CHECK(layers_per_piece(job) == Layers{8, 8});
    job.train.sequence_length = 1 << 20;
    CHECK(layers_per_piece(job) == Layers{13, 3});
  }

  TEST_CASE("layers given by hand are taken as they are, also none") {
    auto job = job_with(2, 2);
    job.pipeline.layers = {0, 3, 1, 0};
    CHECK(layers_per_piece(job) == Layers{0, 3, 1, 0});
    job.pipeline.layers.clear();
    CHECK(layers_per_piece(job) == Layers{1, 1, 1, 1});
    job.layout.pp = 3;
    CHECK_THROWS_AS(layers_per_piece(job), std::invalid_argument);
    CHECK(layers_per_piece(job_with(1, 1)) == Layers{4});
  }
}

}  // namespace
}  // namespace fulgur
