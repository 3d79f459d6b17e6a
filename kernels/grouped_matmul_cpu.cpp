#include <cblas.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/grouped_matmul_impl.hpp"

namespace fulgur::cpu {
namespace {

void expect_offsets(const std::int32_t* offsets, std::int64_t E, std::int64_t M) {
  bool rises = offsets[0] == 0 && offsets[E] <= M;
  for (std::int64_t g = 0; g < E; ++g)
    rises = rises && offsets[g] <= offsets[g + 1];
  if (!rises) {
    throw std::invalid_argument(
        "grouped_matmul: offsets: expected numbers rising from 0 to at most " + std::to_string(M));
  }
}

// Calls product(group, first row, number of rows) for the groups that are not empty.
template <class Product>
void for_each_group(const Tensor& offsets, std::int64_t M, Product product) {
  const auto E = offsets.dims[0] - 1;
  const auto* begin = offsets.as<std::int32_t>();
  expect_offsets(begin, E, M);
  for (std::int64_t g = 0; g < E; ++g) {
    if (begin[g + 1] > begin[g]) product(g, std::int64_t{begin[g]}, begin[g + 1] - begin[g]);
  }
}

blasint size(std::int64_t n) {
  return static_cast<blasint>(n);
}

// BLAS refuses a leading dim of 0, even of a matrix with no elements.
blasint leading(std::int64_t n) {
  return static_cast<blasint>(std::max<std::int64_t>(n, 1));
}

}  // namespace

void grouped_matmul(const GroupedMatMul& args, Stream& stream) {
  stream.run([args] {
    const auto N = args.w.dims[1], K = args.w.dims[2];
    for_each_group(
        args.offsets, args.x.dims[0], [&](std::int64_t g, std::int64_t first, std::int32_t rows) {
          cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, size(N), size(K), 1.0f,
                      args.x.as<float>() + first * K, leading(K), args.w.as<float>() + g * N * K,
                      leading(K), 0.0f, args.y.as<float>() + first * N, leading(N));
        });
  });
}

void grouped_matmul_input_gradient(const GroupedMatMulInputGradient& args, Stream& stream) {
  stream.run([args] {
    const auto N = args.w.dims[1], K = args.w.dims[2];
    for_each_group(
        args.offsets, args.dy.dims[0], [&](std::int64_t g, std::int64_t first, std::int32_t rows) {
          cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, size(K), size(N), 1.0f,
                      args.dy.as<float>() + first * N, leading(N), args.w.as<float>() + g * N * K,
                      leading(K), 0.0f, args.dx.as<float>() + first * K, leading(K));
        });
  });
}

void grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient& args, Stream& stream) {
  stream.run([args] {
    const auto N = args.dw.dims[1], K = args.dw.dims[2];
    for_each_group(
        args.offsets, args.dy.dims[0], [&](std::int64_t g, std::int64_t first, std::int32_t rows) {
          cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, size(N), size(K), rows, 1.0f,
                      args.dy.as<float>() + first * N, leading(N), args.x.as<float>() + first * K,
                      leading(K), 1.0f, args.dw.as<float>() + g * N * K, leading(K));
        });
  });
}

}  // namespace fulgur::cpu
