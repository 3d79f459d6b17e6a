#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "kernels/memory_impl.hpp"

namespace fulgur::cpu {
namespace {

constexpr std::size_t kAlignment = 256;

// Calls run(byte offset in a, byte offset in b, bytes) for each longest run of elements that is
// contiguous in both tensors, which have equal dims and dtype.
template <class Run>
void for_each_run(const Tensor& a, const Tensor& b, const Run& run) {
  const auto element = static_cast<std::int64_t>(size_bytes(a.dtype));
  std::int64_t length = 1;
  int outer = a.dims.size();
  while (outer > 0 && (a.dims[outer - 1] == 1 ||
                       (a.strides[outer - 1] == length && b.strides[outer - 1] == length))) {
    length *= a.dims[--outer];
  }
  Shape index(std::span<const std::int64_t>(a.dims.begin(), static_cast<std::size_t>(outer)));
  for (int i = 0; i < outer; ++i)
    index[i] = 0;
  for (;;) {
    std::int64_t in_a = 0, in_b = 0;
    for (int i = 0; i < outer; ++i) {
      in_a += index[i] * a.strides[i];
      in_b += index[i] * b.strides[i];
    }
    run(in_a * element, in_b * element, static_cast<std::size_t>(length * element));
    int dim = outer - 1;  // count up, as the digits of a number
    while (dim >= 0 && ++index[dim] == a.dims[dim])
      index[dim--] = 0;
    if (dim < 0) return;
  }
}

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() - kAlignment) throw std::bad_alloc();
  const auto padded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* data = std::aligned_alloc(kAlignment, padded);
  if (data == nullptr) throw std::bad_alloc();
  return std::memset(data, 0, padded);
}

void release(void* data) noexcept {
  std::free(data);
}

// Where the system counts addresses as memory (a limit on them, strict overcommit), it may grant fewer.
std::span<std::byte> reserve() {
  constexpr std::size_t kLeast = std::size_t{64} << 20;
  auto bytes = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) *
               static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (; bytes >= kLeast; bytes /= 2) {
    void* const data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data != MAP_FAILED) return {static_cast<std::byte*>(data), bytes};
  }
  throw std::bad_alloc();
}

void give_back(std::byte* data, std::size_t reserved) noexcept {
  static_cast<void>(::munmap(data, reserved));
}

void copy(const Tensor& from, const Tensor& to, Stream& stream) {
  stream.run([from, to] {
    const auto* source = static_cast<const std::byte*>(from.data);
    auto* target = static_cast<std::byte*>(to.data);
    for_each_run(from, to, [&](std::int64_t in_from, std::int64_t in_to, std::size_t bytes) {
      std::memmove(target + in_to, source + in_from, bytes);
    });
  });
}

void fill_zero(const Tensor& tensor, Stream& stream) {
  stream.run([tensor] {
    auto* target = static_cast<std::byte*>(tensor.data);
    for_each_run(tensor, tensor, [&](std::int64_t offset, std::int64_t, std::size_t bytes) {
      std::memset(target + offset, 0, bytes);
    });
  });
}

}  // namespace fulgur::cpu
