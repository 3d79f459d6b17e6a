#include <cmath>

#include "kernels/reduce_impl.hpp"

namespace fulgur::cpu {

void sum_of_squares(const SumOfSquares& args, Stream& stream) {
  stream.run([args] {
    const auto* x = args.x.as<float>();
    const auto n = args.x.count();
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i)
      sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    *args.out.as<double>() += sum;
  });
}

void clip_scale(const ClipScale& args, Stream& stream) {
  stream.run([args] {
    const double factor = args.most / (std::sqrt(*args.squares.as<double>()) + 1e-6);
    *args.scale.as<float>() = factor < 1 ? static_cast<float>(factor) : 1.0f;
  });
}

}  // namespace fulgur::cpu
