#pragma once

#include "kernels/cuda_launch.cuh"

namespace fulgur::cuda {

// The rows are cut into parts; a block adds up 32 columns of one part. [parts, columns] float64
inline constexpr int kRowsAtOnce = 8;

template <class Value>
__global__ void column_parts_kernel(std::int64_t rows, std::int64_t columns, Value value,
                                    double* parts) {
  __shared__ double sums[kRowsAtOnce][kWarp];
  const auto column = std::int64_t{blockIdx.x} * kWarp + threadIdx.x;
  const auto step = std::int64_t{gridDim.y} * kRowsAtOnce;
  double sum = 0;
  if (column < columns) {
    for (auto row = std::int64_t{blockIdx.y} * kRowsAtOnce + threadIdx.y; row < rows; row += step)
      sum += value(row, column);
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= columns) return;
  for (int i = 1; i < kRowsAtOnce; ++i)
    sum += sums[i][threadIdx.x];
  parts[blockIdx.y * columns + column] = sum;
}

template <class Out>
__global__ void add_column_parts_kernel(const double* parts, int num_parts, std::int64_t columns,
                                        Out* out) {
  const auto column = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (column >= columns) return;
  double sum = 0;
  for (int i = 0; i < num_parts; ++i)
    sum += parts[i * columns + column];
  out[column] += static_cast<Out>(sum);
}

struct Matrix {
  std::int64_t rows, columns;
};

// Queues out[column] += the sum over the rows of value(row, column), a device function. Sums are taken in
// float64, in an order that depends on the extents alone.
template <class Out, class Value>
void add_column_sums(Matrix extents, Out* out, const Stream& stream, const char* operation,
                     Value value) {
  const auto [rows, columns] = extents;
  if (rows == 0 || columns == 0) return;
  constexpr std::int64_t kMostParts = 64, kLeastRows = 32;
  const auto num_parts = static_cast<unsigned>(std::min(divide_up(rows, kLeastRows), kMostParts));
  const Scratch parts(num_parts * static_cast<std::size_t>(columns) * sizeof(double), stream);
  const dim3 grid(grid_size(divide_up(columns, kWarp)), num_parts), block(kWarp, kRowsAtOnce);
  column_parts_kernel<<<grid, block, 0, native(stream)>>>(rows, columns, value, parts.as<double>());
  check_launch(operation);
  add_column_parts_kernel<<<grid_size(divide_up(columns, kThreads)), kThreads, 0, native(stream)>>>(
      parts.as<double>(), static_cast<int>(num_parts), columns, out);
  check_launch(operation);
}

}  // namespace fulgur::cuda
