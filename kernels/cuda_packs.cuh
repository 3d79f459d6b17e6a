#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "kernels/cuda_floats.cuh"
#include "kernels/cuda_launch.cuh"

// Memory-bound kernels move 16 bytes per thread and access where addresses and extents allow, else one
// element.
namespace fulgur::cuda {

inline constexpr std::size_t kPackBytes = 16;

// N neighbouring elements; more than 16 bytes are several accesses.
template <class T, int N>
struct alignas(std::min<std::size_t>(N * sizeof(T), kPackBytes)) Pack {
  T at[N];
};
template <int N, class T>
__device__ Pack<T, N> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <int N, class T>
__device__ void store_pack(const Pack<T, N>& pack, T* to) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// The number of elements that can be moved together, as a type of which `value` is that number.
template <int N>
struct PackSize {
  static constexpr int value = N;
};
template <class T>
inline constexpr int kMostOfPack = static_cast<int>(kPackBytes / sizeof(T));

inline bool is_aligned(const Tensor& tensor) {
  return reinterpret_cast<std::uintptr_t>(tensor.data) % kPackBytes == 0;
}
// Whether the rows of dense tensors can be moved in packs of kMostOfPack<T>.
template <class T>
bool fits_packs(std::int64_t columns, std::initializer_list<Tensor> tensors) {
  return columns % kMostOfPack<T> == 0 && std::all_of(tensors.begin(), tensors.end(), is_aligned);
}
// Calls body(PackSize<N>{}): the largest N for elements T if `fits`, else 1.
template <class T, class Body>
void with_pack_size(bool fits, const Body& body) {
  if (fits) {
    body(PackSize<kMostOfPack<T>>{});
  } else {
    body(PackSize<1>{});
  }
}

// Dense tensors of equal dims that an operation goes through side by side.
template <class In, class Out, int kIn, int kOut>
struct Columns {
  const In* in[kIn];
  Out* out[kOut];
};

template <int N, class In, class Out, int kIn, int kOut, class Function>
__global__ void map_kernel(Columns<In, Out, kIn, kOut> columns, std::int64_t n, Function function) {
  const auto step = std::int64_t{gridDim.x} * blockDim.x * N;
  for (auto i = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * N; i < n; i += step) {
    Pack<In, N> in[kIn];
    Pack<Out, N> out[kOut];
    for (int c = 0; c < kIn; ++c)
      in[c] = load_pack<N>(columns.in[c] + i);
    for (int j = 0; j < N; ++j) {
      float x[kIn], y[kOut];
      for (int c = 0; c < kIn; ++c)
        x[c] = to_float(in[c].at[j]);
      function(x, y);
      for (int c = 0; c < kOut; ++c)
        store(y[c], &out[c].at[j]);
    }
    for (int c = 0; c < kOut; ++c)
      store_pack(out[c], columns.out[c] + i);
  }
}

// Queues function(const float (&x)[kIn], float (&y)[kOut]), a device function, for every element: x are
// those of the inputs, y those of the outputs. An output may be an input.
template <class In, class Out, int kIn, int kOut, class Function>
void map(const Tensor (&in)[kIn], const Tensor (&out)[kOut], const Stream& stream,
         const char* operation, Function function) {
  const auto n = in[0].count();
  if (n == 0) return;
  Columns<In, Out, kIn, kOut> columns{};
  using Smaller = std::conditional_t<sizeof(In) < sizeof(Out), In, Out>;
  bool fits = n % kMostOfPack<Smaller> == 0;
  for (int c = 0; c < kIn; ++c) {
    columns.in[c] = in[c].template as<In>();
    fits = fits && is_aligned(in[c]);
  }
  for (int c = 0; c < kOut; ++c) {
    columns.out[c] = out[c].template as<Out>();
    fits = fits && is_aligned(out[c]);
  }
  with_pack_size<Smaller>(fits, [&](auto size) {
    constexpr int N = decltype(size)::value;
    map_kernel<N><<<num_element_blocks(n / N), kThreads, 0, native(stream)>>>(columns, n, function);
    check_launch(operation);
  });
}

template <int N, class Body>
__global__ void row_packs_kernel(std::int64_t packs, std::int64_t packs_of_row, Body body) {
  const auto step = std::int64_t{gridDim.x} * blockDim.x;
  for (auto i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < packs; i += step)
    body(i / packs_of_row, i % packs_of_row * N, PackSize<N>{});
}

// Queues body(r, c, size), a device function, for packs of `size` columns c .. of every row r of a
// [rows, columns] matrix of elements T, all of which have their place in 16-byte packs if `aligned`.
template <class T, class Body>
void for_each_row_pack(std::int64_t rows, std::int64_t columns, bool aligned, const Stream& stream,
                       const char* operation, const Body& body) {
  if (rows == 0 || columns == 0) return;
  const bool fits = aligned && columns % kMostOfPack<T> == 0;
  with_pack_size<T>(fits, [&](auto size) {
    constexpr int N = decltype(size)::value;
    const auto packs = rows * columns / N;
    row_packs_kernel<N>
        <<<num_element_blocks(packs), kThreads, 0, native(stream)>>>(packs, columns / N, body);
    check_launch(operation);
  });
}

}  // namespace fulgur::cuda
