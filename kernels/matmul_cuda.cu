#include <cublasLt.h>
#include <cuda_runtime.h>

#include <array>
#include <map>

#include "kernels/cuda_floats.cuh"
#include "kernels/cuda_launch.cuh"
#include "kernels/matmul_impl.hpp"
#include "kernels/unique_handle.hpp"

// Products through cuBLASLt: of float32 in float32 throughout, no TF32; of bfloat16 on tensor
// cores, with float32 sums. cuBLASLt counts columns first, so the row-major c = op(a) op(b) is
// given to it as c^T = op(b)^T op(a)^T.
namespace fulgur::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

struct LibraryTraits {
  using Handle = cublasLtHandle_t;
  static constexpr Handle none = nullptr;
  static void release(Handle handle) noexcept { static_cast<void>(cublasLtDestroy(handle)); }
};
struct LayoutTraits {
  using Handle = cublasLtMatrixLayout_t;
  static constexpr Handle none = nullptr;
  static void release(Handle layout) noexcept {
    static_cast<void>(cublasLtMatrixLayoutDestroy(layout));
  }
};
struct DescriptionTraits {
  using Handle = cublasLtMatmulDesc_t;
  static constexpr Handle none = nullptr;
  static void release(Handle description) noexcept {
    static_cast<void>(cublasLtMatmulDescDestroy(description));
  }
};
struct PreferenceTraits {
  using Handle = cublasLtMatmulPreference_t;
  static constexpr Handle none = nullptr;
  static void release(Handle preference) noexcept {
    static_cast<void>(cublasLtMatmulPreferenceDestroy(preference));
  }
};

std::int64_t row_stride(const Tensor& matrix) {
  return matrix.dims[0] > 1 ? matrix.strides[0] : matrix.dims[1];
}

UniqueHandle<LayoutTraits> make_layout(const Tensor& matrix) {
  cublasLtMatrixLayout_t layout = nullptr;
  const auto type = matrix.dtype == DType::kBFloat16 ? CUDA_R_16BF : CUDA_R_32F;
  check(cublasLtMatrixLayoutCreate(&layout, type, static_cast<std::uint64_t>(matrix.dims[1]),
                                   static_cast<std::uint64_t>(matrix.dims[0]), row_stride(matrix)),
        "cublasLtMatrixLayoutCreate");
  return UniqueHandle<LayoutTraits>(layout);
}

// The power of two to which the data is aligned, as far as cuBLASLt cares.
std::uint32_t alignment(const Tensor& matrix) {
  const auto address = reinterpret_cast<std::uintptr_t>(matrix.data) | 256;
  return static_cast<std::uint32_t>(address & (~address + 1));
}

// One product as cuBLASLt describes it: its `a` is our b.
struct Problem {
  explicit Problem(const MatMul& args)
      : a(make_layout(args.b)), b(make_layout(args.a)), c(make_layout(args.c)) {
    cublasLtMatmulDesc_t made = nullptr;
    check(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    description = UniqueHandle<DescriptionTraits>(made);
    set(CUBLASLT_MATMUL_DESC_TRANSA, args.transpose_b);
    set(CUBLASLT_MATMUL_DESC_TRANSB, args.transpose_a);
  }

  void set(cublasLtMatmulDescAttributes_t which, Transpose transpose) {
    const auto operation = transpose == Transpose::kYes ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(cublasLtMatmulDescSetAttribute(description.get(), which, &operation, sizeof(operation)),
          "cublasLtMatmulDescSetAttribute");
  }

  UniqueHandle<DescriptionTraits> description;
  UniqueHandle<LayoutTraits> a, b, c;
};

template <class T>
void prefer(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t which,
            T value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference, which, &value, sizeof(value)),
        "cublasLtMatmulPreferenceSetAttribute");
}

// The library on one device, with the algorithms that it has chosen: to ask it costs more than a
// small product. The choice depends on nothing but the extents, so equal calls give equal bits.
class Library {
 public:
  Library() {
    cublasLtHandle_t made = nullptr;
    check(cublasLtCreate(&made), "cublasLtCreate");
    handle_ = UniqueHandle<LibraryTraits>(made);
  }

  void multiply(const MatMul& args, const Stream& stream) {
    const Problem problem(args);
    const auto& choice = choose(args, problem);
    const Scratch workspace(choice.workspaceSize, stream);
    check(cublasLtMatmul(handle_.get(), problem.description.get(), &args.alpha, args.b.data,
                         problem.a.get(), args.a.data, problem.b.get(), &args.beta, args.c.data,
                         problem.c.get(), args.c.data, problem.c.get(), &choice.algo,
                         workspace.as<void>(), choice.workspaceSize, native(stream)),
          "cublasLtMatmul");
  }

 private:
  using Key = std::array<std::int64_t, 13>;

  static Key key_of(const MatMul& args) {
    return {args.c.dims[0],
            args.c.dims[1],
            args.a.dims[0] * args.a.dims[1],
            row_stride(args.a),
            row_stride(args.b),
            row_stride(args.c),
            alignment(args.a),
            alignment(args.b),
            alignment(args.c),
            static_cast<std::int64_t>(args.a.dtype),
            static_cast<std::int64_t>(args.c.dtype),
            static_cast<std::int64_t>(args.transpose_a),
            static_cast<std::int64_t>(args.transpose_b)};
  }

  const cublasLtMatmulHeuristicResult_t& choose(const MatMul& args, const Problem& problem) {
    const auto key = key_of(args);
    if (const auto known = choices_.find(key); known != choices_.end()) return known->second;
    cublasLtMatmulPreference_t made = nullptr;
    check(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
    const UniqueHandle<PreferenceTraits> preference(made);
    prefer(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    // Where parts of the terms are summed on their own, their sums must not be rounded to bfloat16.
    prefer(made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    prefer(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(args.b));
    prefer(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(args.a));
    prefer(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(args.c));
    prefer(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(args.c));
    cublasLtMatmulHeuristicResult_t choice{};
    int found = 0;
    check(cublasLtMatmulAlgoGetHeuristic(handle_.get(), problem.description.get(), problem.a.get(),
                                         problem.b.get(), problem.c.get(), problem.c.get(), made, 1,
                                         &choice, &found),
          "cublasLtMatmulAlgoGetHeuristic");
    if (found == 0)
      throw CudaError("matmul: cuBLASLt has no algorithm for c " + to_string(args.c.dims));
    return choices_.emplace(key, choice).first->second;
  }

  UniqueHandle<LibraryTraits> handle_;
  std::map<Key, cublasLtMatmulHeuristicResult_t> choices_;
};

// The library of the calling thread on its device: no thread waits for another.
Library& library() {
  thread_local std::map<int, Library> libraries;
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return libraries[device];
}

// A product over no numbers is zero: c = beta c.
template <class T>
void scale(const Tensor& c, float beta, const Stream& stream) {
  const auto columns = c.dims[1], stride = row_stride(c);
  auto* const data = c.as<T>();
  for_each_element(c.count(), stream, "matmul", [=] __device__(std::int64_t i) {
    T* const value = data + (i / columns * stride + i % columns);
    store(beta == 0.0f ? 0.0f : beta * to_float(*value), value);
  });
}

}  // namespace

void matmul(const MatMul& args, Stream& stream) {
  if (args.a.count() > 0) return library().multiply(args, stream);
  with_float_type(args.c.dtype, [&]<class T>(T) { scale<T>(args.c, args.beta, stream); });
}

}  // namespace fulgur::cuda
