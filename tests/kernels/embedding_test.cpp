#include "kernels/embedding.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/support/finite_differences.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::Ints;
using test::random_floats;
using test::random_ints;

}  // namespace

TEST_SUITE("kernels/embedding") {
  TEST_CASE("forward copies the rows of the ids and writes zeros for ids outside the part") {
    Stream stream(Device::kCpu);
    for (const auto T : {0, 1, 7, 131, 1009}) {
      CAPTURE(T);
      auto ids = random_ints({T}, 1, -2, 40);
      auto weight = random_floats({13, 37}, 2);  // the ids 11 .. 23
      Floats y({T, 37}, -7.0f), expected({T, 37});
      for (std::size_t t = 0; t < ids.values.size(); ++t) {
        const auto row = ids.values[t] - 11;
        for (std::size_t c = 0; row >= 0 && row < 13 && c < 37; ++c)
          expected.values[t * 37 + c] = weight.values[static_cast<std::size_t>(row) * 37 + c];
      }
      embedding_forward({.ids = ids, .weight = weight, .y = y, .first_id = 11}, stream);
      stream.synchronize();
      CHECK(y.values == expected.values);
    }
  }

  TEST_CASE("the sum over the parts of a table is the whole table's result, forward and backward") {
    Stream stream(Device::kCpu);
    auto ids = random_ints({61}, 1, 0, 18);
    auto weight = random_floats({19, 5}, 2), dy = random_floats({61, 5}, 3);
    Floats whole({61, 5}), dwhole({19, 5}), dparts({19, 5}), sum({61, 5});
    embedding_forward({.ids = ids, .weight = weight, .y = whole}, stream);
    embedding_backward({.ids = ids, .dy = dy, .dweight = dwhole}, stream);
    for (const auto& size : {std::pair{0, 7}, {7, 0}, {7, 11}, {18, 1}}) {
      const auto first = size.first, rows = size.second;
      Floats y({61, 5});
      const auto part = [&](Floats& of) { return of.tensor().slice(0, first, rows); };
      embedding_forward({.ids = ids, .weight = part(weight), .y = y, .first_id = first}, stream);
      embedding_backward({.ids = ids, .dy = dy, .dweight = part(dparts), .first_id = first},
                         stream);
      stream.synchronize();
      for (std::size_t i = 0; i < sum.values.size(); ++i)
        sum.values[i] += y.values[i];
    }
    CHECK(sum.values == whole.values);
    CHECK(dparts.values == dwhole.values);
  }

  TEST_CASE("backward is the transpose of forward and adds to what is there") {
    Stream stream(Device::kCpu);
    for (const auto T : {0, 1, 7, 1009}) {
      CAPTURE(T);
      auto ids = random_ints({T}, 1, 3, 20);
      auto weight = random_floats({17, 29}, 2), dy = random_floats({T, 29}, 3);
      Floats y({T, 29}), dweight({17, 29}, 2.0f);
      embedding_forward({.ids = ids, .weight = weight, .y = y, .first_id = 4}, stream);
      embedding_backward({.ids = ids, .dy = dy, .dweight = dweight, .first_id = 4}, stream);
      stream.synchronize();
      auto gradient = dweight.doubles();
      for (auto& g : gradient)
        g -= 2.0;
      CHECK(test::inner_product(gradient, weight.doubles()) ==
            doctest::Approx(test::inner_product(dy.doubles(), y.doubles())).epsilon(1e-5));
    }
  }

  TEST_CASE("backward equals finite differences of the lookup") {
    Stream stream(Device::kCpu);
    auto ids = random_ints({23}, 1, 0, 4);
    auto dy = random_floats({23, 3}, 3);
    Floats dweight({5, 3});
    embedding_backward({.ids = ids, .dy = dy, .dweight = dweight}, stream);
    stream.synchronize();
    std::vector<double> weight(15, 0.5);
    const auto loss = [&] {
      double sum = 0;
      for (std::size_t i = 0; i < dy.values.size(); ++i)
        sum += dy.values[i] * weight[static_cast<std::size_t>(ids.values[i / 3]) * 3 + i % 3];
      return sum;
    };
    CHECK(test::relative_error(dweight.values, test::finite_differences(weight, loss)) < 1e-6);
  }

  TEST_CASE("wrong dims and dtypes are refused by name") {
    Stream stream(Device::kCpu);
    Floats weight({5, 3}), y({4, 2}), wrong_ids({4});
    Ints ids({4});
    CHECK_THROWS_WITH_AS(embedding_forward({.ids = ids, .weight = weight, .y = y}, stream),
                         "embedding_forward: y: expected dims [ 4 3 ], got [ 4 2 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(embedding_backward({.ids = wrong_ids, .dy = y, .dweight = weight}, stream),
                         "embedding_backward: ids: expected dtype int32, got float32",
                         std::invalid_argument);
  }
}

}  // namespace fulgur
