#include "kernels/memory.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "kernels/stream.hpp"
#include "tests/support/host_tensor.hpp"

namespace fulgur {

TEST_SUITE("kernels/memory") {
  TEST_CASE("a buffer is zeroed and 256-byte aligned") {
    for (std::size_t bytes : {1u, 255u, 256u, 100001u}) {
      CAPTURE(bytes);
      const Buffer buffer(Device::kCpu, bytes);
      CHECK(buffer.bytes() == bytes);
      CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 256 == 0);
      const auto* at = static_cast<const unsigned char*>(buffer.data());
      CHECK(std::all_of(at, at + bytes, [](unsigned char x) { return x == 0; }));
    }
  }

  TEST_CASE("a moved-from buffer is empty, and the memory goes along") {
    Buffer a(Device::kCpu, 64);
    void* const data = a.data();
    Buffer b(std::move(a));
    CHECK(b.data() == data);
    CHECK(a.data() == nullptr);  // NOLINT(bugprone-use-after-move): this is what is tested
    CHECK(a.bytes() == 0);
    Buffer c(Device::kCpu, 8);
    c = std::move(b);
    CHECK(c.data() == data);
    CHECK(c.bytes() == 64);
    CHECK(b.data() == nullptr);  // NOLINT(bugprone-use-after-move)
    CHECK(b.bytes() == 0);
  }

  TEST_CASE("an arena hands out distinct, aligned, contiguous tensors") {
    Arena arena(Device::kCpu);
    const auto a = arena.allocate({3, 5}), b = arena.allocate({7}, DType::kInt64);
    CHECK(a.dims == Shape{3, 5});
    CHECK(a.is_contiguous());
    CHECK(b.dtype == DType::kInt64);
    const auto at_a = reinterpret_cast<std::uintptr_t>(a.data),
               at_b = reinterpret_cast<std::uintptr_t>(b.data);
    CHECK(at_a % 256 == 0);
    CHECK(at_b % 256 == 0);
    CHECK((at_b >= at_a + a.bytes() || at_a >= at_b + b.bytes()));
  }

  TEST_CASE("an arena can be used again as far as it once was, and no further") {
    Arena arena(Device::kCpu);
    const auto before = arena.used_bytes();
    void* second = nullptr;
    std::size_t behind_first = 0;
    {
      const Arena::Scope scope(arena);
      arena.allocate({100});
      behind_first = arena.used_bytes();
      second = arena.allocate({5}).data;
    }
    CHECK(arena.used_bytes() == before);
    arena.use_again(behind_first);
    CHECK(arena.allocate({5}).data == second);
    CHECK_THROWS_AS(arena.use_again(behind_first), std::invalid_argument);
    CHECK_THROWS_AS(arena.use_again(arena.high_water_bytes() + 1), std::invalid_argument);
  }

  TEST_CASE("a scope gives its tensors back, and a second step takes nothing from the system") {
    Arena arena(Device::kCpu);
    const auto kept = arena.allocate({8});
    const auto step = [&] {
      const Arena::Scope scope(arena);
      const auto small = arena.allocate({100});
      {
        const Arena::Scope inner(arena);
        std::memset(arena.allocate({5000}).data, 1, 20000);
      }
      std::memset(arena.allocate({200}).data, 1, 800);
      return small.data;
    };
    const auto* const first = step();
    const auto held = arena.capacity_bytes(), high = arena.high_water_bytes();
    CHECK(step() == first);
    CHECK(step() == first);
    CHECK(arena.capacity_bytes() == held);
    CHECK(arena.high_water_bytes() == high);
    CHECK(high >= 20000);
    CHECK(high <= held);
    CHECK(arena.allocate({8}).data > kept.data);
  }

  TEST_CASE("the high water stays when the water falls, and tensors lie side by side") {
    Arena arena(Device::kCpu);
    CHECK(arena.high_water_bytes() == 0);
    CHECK(arena.capacity_bytes() == 0);
    {
      const Arena::Scope scope(arena);
      const auto first = arena.allocate({768}, DType::kUInt8);
      CHECK(arena.high_water_bytes() == 768);
      const auto second = arena.allocate({500}, DType::kUInt8);
      CHECK(arena.high_water_bytes() == 768 + 512);
      CHECK(static_cast<std::byte*>(second.data) == static_cast<std::byte*>(first.data) + 768);
    }
    arena.allocate({256}, DType::kUInt8);
    CHECK(arena.high_water_bytes() == 768 + 512);
  }

  TEST_CASE("an arena grows in place: what is in use stays where it is") {
    Arena arena(Device::kCpu);
    const auto kept = arena.allocate({1000}, DType::kInt32);
    std::fill_n(kept.as<std::int32_t>(), 1000, 7);
    for (int i = 1; i <= 20; ++i) {  // sizes that change, as the rows of experts do
      const Arena::Scope scope(arena);
      const auto some = arena.allocate({i * 1'000'000}, DType::kUInt8);
      std::memset(some.data, i, some.bytes());
      CHECK(arena.capacity_bytes() < some.bytes() + (std::size_t{16} << 20));
    }
    CHECK(std::count(kept.as<std::int32_t>(), kept.as<std::int32_t>() + 1000, 7) == 1000);
  }

  TEST_CASE("an arena refuses more than there is, and can be used afterwards") {
    Arena arena(Device::kCpu);
    CHECK_THROWS_AS(arena.allocate({std::int64_t{1} << 60}, DType::kUInt8), std::bad_alloc);
    std::memset(arena.allocate({100}, DType::kUInt8).data, 1, 100);
  }

  TEST_CASE("a tensor in an outer scope is not overwritten by inner scopes") {
    Arena arena(Device::kCpu);
    const auto outer = arena.allocate({64}, DType::kInt32);
    std::fill_n(outer.as<std::int32_t>(), 64, 42);
    for (int i = 1; i < 20; ++i) {
      const Arena::Scope scope(arena);
      const auto inner = arena.allocate({100 * i}, DType::kInt32);
      std::fill_n(inner.as<std::int32_t>(), inner.count(), i);
    }
    CHECK(std::count(outer.as<std::int32_t>(), outer.as<std::int32_t>() + 64, 42) == 64);
  }

  TEST_CASE("copy moves strided views element by element") {
    Stream stream(Device::kCpu);
    auto from = test::random_ints({4, 5, 6}, 1, 0, 1000);
    test::Ints to({3, 2, 6}, -1), wide({3, 4, 8}, -1);
    const auto source = from.tensor().slice(0, 1, 3).slice(1, 2, 2);
    const auto target = wide.tensor().slice(1, 1, 2).slice(2, 2, 6);
    copy(source, to, stream);
    copy(to, target, stream);
    stream.synchronize();
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 2; ++j)
        for (std::size_t k = 0; k < 6; ++k) {
          const auto expected = from.values[(i + 1) * 30 + (j + 2) * 6 + k];
          CHECK(to.values[i * 12 + j * 6 + k] == expected);
          CHECK(wide.values[i * 32 + (j + 1) * 8 + k + 2] == expected);
        }
    CHECK(std::count(wide.values.begin(), wide.values.end(), -1) == 3 * 4 * 8 - 3 * 2 * 6);
  }

  TEST_CASE("copy takes a column and a tensor without dims") {
    Stream stream(Device::kCpu);
    auto from = test::random_ints({4, 3}, 2, 0, 1000);
    test::Ints column(Shape{4}), one(Shape{});
    copy(from.tensor().select(1, 2), column, stream);
    copy(from.tensor().select(0, 3).select(0, 1), one, stream);
    stream.synchronize();
    for (std::size_t i = 0; i < 4; ++i)
      CHECK(column.values[i] == from.values[3 * i + 2]);
    CHECK(one.values[0] == from.values[10]);
  }

  TEST_CASE("fill_zero touches the view and nothing else") {
    Stream stream(Device::kCpu);
    test::Ints x({3, 4}, 7);
    fill_zero(x.tensor().slice(1, 1, 2), stream);
    stream.synchronize();
    for (std::size_t i = 0; i < 12; ++i)
      CHECK(x.values[i] == ((i % 4 == 1 || i % 4 == 2) ? 0 : 7));
  }

  TEST_CASE("copy refuses other dims or another dtype by name") {
    Stream stream(Device::kCpu);
    test::Ints a({2, 3}), b({3, 2});
    test::Floats f({2, 3});
    CHECK_THROWS_WITH_AS(copy(a, b, stream), "copy: to: expected dims [ 2 3 ], got [ 3 2 ]",
                         std::invalid_argument);
    CHECK_THROWS_AS(copy(a, f, stream), std::invalid_argument);
  }
}

}  // namespace fulgur
