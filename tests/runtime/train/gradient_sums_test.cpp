#include "runtime/train/gradient_sums.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "tests/support/host_tensor.hpp"

namespace fulgur {

TEST_SUITE("runtime/train/gradient_sums") {
  TEST_CASE("what float32 would round away at each of many sums is kept, step by step") {
    test::Floats first(Shape{2}), second(Shape{1});
    std::vector<OwnedRange> owned(2);
    owned[0].gradient = first;
    owned[1].gradient = second;
    GradientSums sums(owned);
    Stream stream(Device::kCpu);
    for (int step = 0; step < 2; ++step) {
      constexpr float kSmall = 0x1p-25f;  // 1 + 2^-25 is 1 in float32
      for (int micro_batch = 0; micro_batch < 17; ++micro_batch) {
        stream.synchronize();
        first.values = {micro_batch == 0 ? 1.0f : kSmall, static_cast<float>(micro_batch)};
        second.values = {-2.0f};
        sums.take(stream);
        stream.synchronize();
        CHECK(first.values == std::vector<float>{0, 0});
      }
      sums.give(stream);
      stream.synchronize();
      CHECK(first.values == std::vector<float>{1 + 0x1p-21f, 136});
      CHECK(second.values == std::vector<float>{-34});
    }
  }
}

}  // namespace fulgur
