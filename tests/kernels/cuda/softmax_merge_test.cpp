#include "kernels/softmax_merge.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/twin_rounded.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::random_floats;
using test::TwinFloats;
using test::TwinRounded;

template <class Part, class Whole>
struct Kinds {
  using PartTwin = Part;
  using WholeTwin = Whole;
};
using BothFloats = Kinds<TwinFloats, TwinFloats>;
using RoundedPart = Kinds<TwinRounded, TwinFloats>;
using RoundedWhole = Kinds<TwinFloats, TwinRounded>;
using BothRounded = Kinds<TwinRounded, TwinRounded>;

}  // namespace

TEST_SUITE("kernels/cuda/softmax_merge") {
  TEST_CASE_TEMPLATE("merged results, also of queries that see nothing, are those of the CPU" *
                         doctest::skip(!test::has_cuda()),
                     Kind, BothFloats, RoundedPart, RoundedWhole, BothRounded) {
    using Part = typename Kind::PartTwin;
    using Whole = typename Kind::WholeTwin;
    for (const std::int64_t d : {1, 31, 64, 200}) {
      CAPTURE(d);
      const std::int64_t T = 101, H = 3;
      auto lse = random_floats({T, H}, 1, -50.0f, 50.0f), part_lse = random_floats({T, H}, 2);
      for (std::size_t i = 0; i < lse.values.size(); i += 5)
        lse.values[i] = -std::numeric_limits<float>::infinity();
      for (std::size_t i = 0; i < lse.values.size(); i += 3)
        part_lse.values[i] = -std::numeric_limits<float>::infinity();
      BothDevices both;
      Whole o(both, random_floats({T, H, d}, 3));
      Part part_o(both, random_floats({T, 2 * H, d}, 4));
      TwinFloats sums(both, lse), part_sums(both, part_lse);
      both.run([&](Device on, Stream& stream) {
        softmax_merge({.part_o = part_o.on(on).slice(1, H, H),
                       .part_lse = part_sums.on(on),
                       .o = o.on(on),
                       .lse = sums.on(on)},
                      stream);
      });
      CHECK(both.repeats());
      CHECK(o.error() < test::error_bound<Whole>(test::tolerance(DType::kFloat32, 16), T * H * d));
      auto gpu = sums.on_gpu(), cpu = sums.on_cpu();
      for (std::size_t i = 0; i < lse.values.size(); i += 15) {
        CHECK(gpu[i] == cpu[i]);  // minus infinity
        gpu[i] = cpu[i] = 0;
      }
      CHECK(test::relative_error(gpu, cpu) < test::tolerance(DType::kFloat32, 4));
    }
  }
}

}  // namespace fulgur
