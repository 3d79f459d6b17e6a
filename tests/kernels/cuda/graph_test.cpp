#include "kernels/graph.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

#include "kernels/activation.hpp"
#include "kernels/cuda_error.hpp"
#include "kernels/matmul.hpp"
#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::random_floats;

const Shape kDims{33, 33};

// y = 2 x x^T, in two kernels of which one takes memory for itself now and then.
struct Work {
  Buffer x_memory{Device::kCuda, static_cast<std::size_t>(kDims.count()) * 4};
  Buffer y_memory{Device::kCuda, static_cast<std::size_t>(kDims.count()) * 4};
  Tensor x = Tensor::contiguous(x_memory.data(), DType::kFloat32, kDims);
  Tensor y = Tensor::contiguous(y_memory.data(), DType::kFloat32, kDims);

  void queue(Stream& stream) const {
    matmul({.a = x, .b = x, .c = y, .transpose_b = Transpose::kYes}, stream);
    scale(y, 2.0f, stream);
  }
};

}  // namespace

TEST_SUITE("kernels/cuda/graph") {
  TEST_CASE("a graph does what was recorded, with what the memory holds now" *
            doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    const Work work;
    work.queue(stream);
    const Graph graph(stream, [&] { work.queue(stream); });
    for (const unsigned seed : {1u, 2u, 3u}) {
      CAPTURE(seed);
      upload(random_floats(kDims, seed).values, work.x, stream);
      fill_zero(work.y, stream);
      work.queue(stream);
      const auto expected = download<float>(work.y, stream);
      fill_zero(work.y, stream);
      graph.launch(stream);
      CHECK(download<float>(work.y, stream) == expected);
    }
  }

  TEST_CASE("recording does nothing yet" * doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    const Work work;
    upload(random_floats(kDims, 1).values, work.x, stream);
    work.queue(stream);
    const auto before = download<float>(work.y, stream);
    const Graph graph(stream, [&] { scale(work.y, 3.0f, stream); });
    CHECK(download<float>(work.y, stream) == before);
    graph.launch(stream);
    CHECK(download<float>(work.y, stream) != before);
  }

  TEST_CASE("a recording that fails throws what failed, and the stream goes on" *
            doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    const Work work;
    work.queue(stream);
    CHECK_THROWS_WITH_AS(Graph(stream,
                               [&] {
                                 work.queue(stream);
                                 throw std::runtime_error("in the middle");
                               }),
                         "in the middle", std::runtime_error);
    CHECK_THROWS_AS(Graph(stream, [&] { stream.synchronize(); }), CudaError);
    work.queue(stream);
    CHECK_NOTHROW(stream.synchronize());
  }

  TEST_CASE("a processor's stream has no graphs") {
    Stream stream(Device::kCpu);
    CHECK_THROWS_AS(Graph(stream, [] {}), std::invalid_argument);
  }
}

}  // namespace fulgur
