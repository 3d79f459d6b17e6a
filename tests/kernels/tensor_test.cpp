#include "kernels/tensor.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

#include "tests/support/host_tensor.hpp"

namespace fulgur {
namespace {

// Elements 0, 1, 2, ... so that an element tells where it lay.
test::Ints numbered(const Shape& dims) {
  test::Ints x(dims);
  for (std::size_t i = 0; i < x.values.size(); ++i)
    x.values[i] = static_cast<std::int32_t>(i);
  return x;
}

}  // namespace

TEST_SUITE("kernels/tensor") {
  TEST_CASE("a contiguous tensor is row-major") {
    auto x = numbered({2, 3, 4});
    const auto t = x.tensor();
    CHECK(t.strides == Shape{12, 4, 1});
    CHECK(t.is_contiguous());
    CHECK(t.count() == 24);
    CHECK(t.bytes() == 96);
  }

  TEST_CASE("a tensor with no dims holds one element, a tensor with a dim 0 none") {
    CHECK(Shape{}.count() == 1);
    CHECK(Shape{3, 0, 2}.count() == 0);
    CHECK(Tensor::contiguous(nullptr, DType::kFloat32, {3, 0, 2}).is_contiguous());
  }

  TEST_CASE("slice and select lead to the elements they name") {
    auto x = numbered({2, 3, 4});
    const auto part = x.tensor().slice(1, 1, 2);
    CHECK(part.dims == Shape{2, 2, 4});
    CHECK(part.as<std::int32_t>()[0] == 4);
    CHECK(part.as<std::int32_t>()[part.strides[0] + part.strides[1] + 3] == 12 + 8 + 3);
    CHECK_FALSE(part.is_contiguous());

    const auto column = x.tensor().select(2, 3).select(0, 1);
    CHECK(column.dims == Shape{3});
    for (std::int64_t i = 0; i < 3; ++i)
      CHECK(column.as<std::int32_t>()[i * column.strides[0]] == 12 + 4 * i + 3);
  }

  TEST_CASE("a part outside the dim is refused") {
    auto x = numbered({2, 3});
    CHECK_THROWS_AS(x.tensor().slice(1, 2, 2), std::invalid_argument);
    CHECK_THROWS_AS(x.tensor().slice(0, -1, 1), std::invalid_argument);
    CHECK_THROWS_AS(x.tensor().select(1, 3), std::invalid_argument);
    CHECK_THROWS_AS(x.tensor().select(2, 0), std::invalid_argument);
    CHECK(x.tensor().slice(1, 3, 0).count() == 0);
  }

  TEST_CASE("view keeps the elements and refuses another count or a strided tensor") {
    auto x = numbered({4, 6});
    const auto t = x.tensor();
    CHECK(t.view({2, 12}).as<std::int32_t>() == x.values.data());
    CHECK(t.view({2, 12}).strides == Shape{12, 1});
    CHECK_THROWS_AS((void)t.view({5, 5}), std::invalid_argument);
    CHECK_THROWS_AS((void)t.slice(1, 0, 3).view({12}), std::invalid_argument);
  }

  TEST_CASE("a dim of length 1 may have any stride in a contiguous tensor") {
    auto x = numbered({4, 1, 6});
    CHECK(x.tensor().slice(0, 2, 1).is_contiguous());
    CHECK(x.tensor().slice(0, 2, 1).view({6}).as<std::int32_t>()[0] == 12);
  }

  TEST_CASE("elements are given out only as their own type") {
    auto x = numbered({2});
    CHECK_THROWS_WITH_AS((void)x.tensor().as<float>(),
                         "tensor: expected elements of int32, got float32", std::invalid_argument);
  }

  TEST_CASE("more than five dims are refused") {
    CHECK_THROWS_AS((Shape{1, 2, 3, 4, 5, 6}), std::invalid_argument);
    CHECK(Shape{1, 2, 3, 4, 5}.size() == 5);
  }

  TEST_CASE("a failed expectation names the tensor, what was expected and what came") {
    auto x = numbered({3, 5});
    const auto t = x.tensor();
    CHECK_NOTHROW(expect_dims(t, {3, kAny}, "x"));
    CHECK_THROWS_WITH_AS(expect_dims(t, {kAny, 4}, "x"), "x: expected dims [ ? 4 ], got [ 3 5 ]",
                         std::invalid_argument);
    CHECK_THROWS_AS(expect_dims(t, {3}, "x"), std::invalid_argument);
    CHECK_THROWS_WITH_AS(expect_dtype(t, DType::kFloat32, "x"),
                         "x: expected dtype float32, got int32", std::invalid_argument);
    CHECK_THROWS_AS(expect_contiguous(t.slice(1, 0, 2), "x"), std::invalid_argument);
    CHECK_NOTHROW(expect_dense_rows(t.slice(1, 0, 2), "x"));
    Tensor column = t;
    column.strides[1] = 2;
    CHECK_THROWS_AS(expect_dense_rows(column, "x"), std::invalid_argument);
  }
}

}  // namespace fulgur
