#include "kernels/activation_impl.hpp"
#include "kernels/vector_math.hpp"

// "omp simd" promises the compiler that iterations do not depend on each other, which it cannot see
// where an output may be one of the inputs.
namespace fulgur::cpu {
namespace {

float silu(float x) noexcept {
  return x * vector_sigmoid(x).value;
}

float silu_slope(float x) noexcept {
  const auto [value, complement] = vector_sigmoid(x);
  return value * (1.0f + x * complement);
}

void swiglu_backward_row(const float* dy, const float* x, float* dx, std::int64_t F) {
#pragma omp simd
  for (std::int64_t f = 0; f < F; ++f) {
    const float gate = x[f], linear = x[F + f];
    const auto [value, complement] = vector_sigmoid(gate);
    dx[f] = dy[f] * linear * value * (1.0f + gate * complement);
    dx[F + f] = dy[f] * gate * value;
  }
}

}  // namespace

void silu_forward(const SiluForward& args, Stream& stream) {
  stream.run([args] {
    const auto* x = args.x.as<float>();
    auto* y = args.y.as<float>();
    const auto n = args.x.count();
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      y[i] = silu(x[i]);
  });
}

void silu_backward(const SiluBackward& args, Stream& stream) {
  stream.run([args] {
    const auto *dy = args.dy.as<float>(), *x = args.x.as<float>();
    auto* dx = args.dx.as<float>();
    const auto n = args.x.count();
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      dx[i] = dy[i] * silu_slope(x[i]);
  });
}

void swiglu_forward(const SwigluForward& args, Stream& stream) {
  stream.run([args] {
    const auto M = args.x.dims[0], F = args.x.dims[2];
    for (std::int64_t r = 0; r < M; ++r) {
      const auto* x = args.x.as<float>() + r * 2 * F;
      auto* y = args.y.as<float>() + r * F;
#pragma omp simd
      for (std::int64_t f = 0; f < F; ++f)
        y[f] = silu(x[f]) * x[F + f];
    }
  });
}

void swiglu_backward(const SwigluBackward& args, Stream& stream) {
  stream.run([args] {
    const auto M = args.x.dims[0], F = args.x.dims[2];
    const auto *dy = args.dy.as<float>(), *x = args.x.as<float>();
    auto* dx = args.dx.as<float>();
    for (std::int64_t r = 0; r < M; ++r)
      swiglu_backward_row(dy + r * F, x + r * 2 * F, dx + r * 2 * F, F);
  });
}

void sigmoid_gate_forward(const SigmoidGateForward& args, Stream& stream) {
  stream.run([args] {
    const auto *gate = args.gate.as<float>(), *x = args.x.as<float>();
    auto* y = args.y.as<float>();
    const auto n = args.x.count();
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      y[i] = vector_sigmoid(gate[i]).value * x[i];
  });
}

void sigmoid_gate_backward(const SigmoidGateBackward& args, Stream& stream) {
  stream.run([args] {
    const auto *dy = args.dy.as<float>(), *gate = args.gate.as<float>(), *x = args.x.as<float>();
    auto *dgate = args.dgate.as<float>(), *dx = args.dx.as<float>();
    const auto n = args.x.count();
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const auto [value, complement] = vector_sigmoid(gate[i]);
      const float through = dy[i] * value;
      const float slope = through * x[i] * complement;
      dx[i] = through;
      dgate[i] = slope;
    }
  });
}

void scaled_add(const ScaledAdd& args, Stream& stream) {
  stream.run([args] {
    const auto *a = args.a.as<float>(), *b = args.b.as<float>();
    auto* y = args.y.as<float>();
    const auto n = args.a.count();
    const float alpha = args.alpha, beta = args.beta;
    if (beta == 0.0f) {  // b may hold anything, as in BLAS
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i)
        y[i] = alpha * a[i];
      return;
    }
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      y[i] = alpha * a[i] + beta * b[i];
  });
}

}  // namespace fulgur::cpu
