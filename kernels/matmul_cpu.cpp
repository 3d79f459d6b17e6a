#include <cblas.h>

#include <algorithm>

#include "kernels/matmul_impl.hpp"

namespace fulgur::cpu {
namespace {

CBLAS_TRANSPOSE blas(Transpose transpose) {
  return transpose == Transpose::kYes ? CblasTrans : CblasNoTrans;
}

// BLAS wants at least the row length, also where there is one row and the stride means nothing.
int leading(const Tensor& matrix) {
  const auto columns = std::max<std::int64_t>(matrix.dims[1], 1);
  return static_cast<int>(matrix.dims[0] > 1 ? std::max(matrix.strides[0], columns) : columns);
}

}  // namespace

void matmul(const MatMul& args, Stream& stream) {
  stream.run([args] {
    const auto M = static_cast<int>(args.c.dims[0]), N = static_cast<int>(args.c.dims[1]),
               K = static_cast<int>(args.a.dims[args.transpose_a == Transpose::kYes ? 0 : 1]);
    cblas_sgemm(CblasRowMajor, blas(args.transpose_a), blas(args.transpose_b), M, N, K, args.alpha,
                args.a.as<float>(), leading(args.a), args.b.as<float>(), leading(args.b), args.beta,
                args.c.as<float>(), leading(args.c));
  });
}

}  // namespace fulgur::cpu
