#include <algorithm>

#include "kernels/embedding_impl.hpp"

namespace fulgur::cpu {

void embedding_forward(const EmbeddingForward& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.ids.dims[0], V = args.weight.dims[0], C = args.weight.dims[1];
    const auto* ids = args.ids.as<std::int32_t>();
    const auto* weight = args.weight.as<float>();
    auto* y = args.y.as<float>();
    for (std::int64_t t = 0; t < T; ++t) {
      const auto row = std::int64_t{ids[t]} - args.first_id;
      if (row >= 0 && row < V) {
        std::copy_n(weight + row * C, C, y + t * C);
      } else {
        std::fill_n(y + t * C, C, 0.0f);
      }
    }
  });
}

void embedding_backward(const EmbeddingBackward& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.ids.dims[0], V = args.dweight.dims[0], C = args.dweight.dims[1];
    const auto* ids = args.ids.as<std::int32_t>();
    for (std::int64_t t = 0; t < T; ++t) {
      const auto row = std::int64_t{ids[t]} - args.first_id;
      if (row < 0 || row >= V) continue;
      const auto* dy = args.dy.as<float>() + t * C;
      auto* dweight = args.dweight.as<float>() + row * C;
#pragma omp simd
      for (std::int64_t c = 0; c < C; ++c)
        dweight[c] += dy[c];
    }
  });
}

}  // namespace fulgur::cpu
