#include "runtime/checkpoint/boxes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace fulgur {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 60;

// The largest box that begins at `at` and has at most `most` > 0 elements: whole slices of the outermost
// dim whose inner coordinates are all zero there.
Box largest_box(std::span<const std::int64_t> shape, std::int64_t at, std::int64_t most) {
  Box box{.start = std::vector<std::int64_t>(shape.size()),
          .count = std::vector<std::int64_t>(shape.size(), 1)};
  std::int64_t stride = 1;  // elements of one slice of `dim`
  std::int64_t slices = 1;
  std::size_t widest = shape.size() - 1;  // where the slices are counted
  for (std::size_t dim = shape.size(); dim-- > 0;) {
    box.start[dim] = at / stride % shape[dim];
    if (at % stride == 0 && stride <= most) {
      widest = dim;
      slices = std::min(shape[dim] - box.start[dim], most / stride);
    }
    stride *= shape[dim];
  }
  box.count[widest] = slices;
  std::copy(shape.begin() + static_cast<std::ptrdiff_t>(widest) + 1, shape.end(),
            box.count.begin() + static_cast<std::ptrdiff_t>(widest) + 1);
  return box;
}

// Elements of the box in front of the element at `at`.
std::int64_t offset_in(const Box& box, std::span<const std::int64_t> at) {
  std::int64_t offset = 0;
  for (std::size_t dim = 0; dim < at.size(); ++dim)
    offset = offset * box.count[dim] + at[dim] - box.start[dim];
  return offset;
}

// The outermost dim of the runs of `part` in `whole`: the dims inside it are whole, those outside it are
// walked through one by one.
std::size_t run_dim(const Box& whole, const Box& part) {
  auto dim = part.count.size() - 1;
  while (dim > 0 && part.count[dim] == whole.count[dim])
    --dim;
  return dim;
}

std::span<const std::int64_t> dims_from(const Box& box, std::size_t dim) {
  return std::span(box.count).subspan(dim);
}

std::int64_t product(std::span<const std::int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

std::int64_t Box::elements() const {
  return product(count);
}

std::string to_text(const Box& box) {
  std::vector<std::string> dims;
  for (std::size_t dim = 0; dim < box.start.size(); ++dim)
    dims.push_back(fmt::format("{}:{}", box.start[dim], box.start[dim] + box.count[dim]));
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

std::optional<std::int64_t> count_elements(std::span<const std::int64_t> dims) {
  if (std::any_of(dims.begin(), dims.end(), [](std::int64_t dim) { return dim < 0; }))
    return std::nullopt;
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return 0;
  std::int64_t elements = 1;
  for (const auto dim : dims) {
    if (dim > kMaxElements / elements) return std::nullopt;
    elements *= dim;
  }
  return elements;
}

Box whole_box(std::span<const std::int64_t> shape) {
  return {.start = std::vector<std::int64_t>(shape.size()), .count = {shape.begin(), shape.end()}};
}

bool is_inside(const Box& box, std::span<const std::int64_t> shape) {
  if (box.start.size() != shape.size() || box.count.size() != shape.size()) return false;
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    const auto start = box.start[dim];
    if (start < 0 || start >= shape[dim] || box.count[dim] < 1 ||
        box.count[dim] > shape[dim] - start)
      return false;
  }
  return true;
}

std::optional<Box> intersection(const Box& a, const Box& b) {
  Box common{.start = a.start, .count = a.count};
  for (std::size_t dim = 0; dim < a.start.size(); ++dim) {
    const auto start = std::max(a.start[dim], b.start[dim]);
    const auto end = std::min(a.start[dim] + a.count[dim], b.start[dim] + b.count[dim]);
    if (end <= start) return std::nullopt;
    common.start[dim] = start;
    common.count[dim] = end - start;
  }
  return common;
}

std::vector<Box> cut(const Box& box, std::int64_t max_elements) {
  if (box.elements() <= max_elements) return {box};
  const auto outermost = static_cast<std::size_t>(
      std::find_if(box.count.begin(), box.count.end(), [](std::int64_t n) { return n > 1; }) -
      box.count.begin());
  const auto slices = box.count[outermost], slice = box.elements() / slices;
  const auto step = std::max<std::int64_t>(1, max_elements / slice);
  std::vector<Box> found;
  for (std::int64_t at = 0; at < slices; at += step) {
    auto part = box;
    part.start[outermost] += at;
    part.count[outermost] = std::min(step, slices - at);
    for (auto& smaller : cut(part, max_elements))
      found.push_back(std::move(smaller));
  }
  return found;
}

std::vector<Box> boxes(std::span<const std::int64_t> shape, std::int64_t begin, std::int64_t end) {
  const auto total = product(shape);
  if (shape.empty() || begin < 0 || begin > end || end > total)
    throw std::invalid_argument(
        fmt::format("boxes: the range [{}, {}) is not inside a tensor of shape [{}]", begin, end,
                    fmt::join(shape, ", ")));
  std::vector<Box> found;
  for (auto at = begin; at < end;) {
    found.push_back(largest_box(shape, at, end - at));
    at += found.back().elements();
  }
  return found;
}

std::optional<std::int64_t> offset_of_run(const Box& whole, const Box& part) {
  const auto dim = run_dim(whole, part);
  if (product(std::span(part.count).first(dim)) != 1) return std::nullopt;
  return offset_in(whole, part.start);
}

void copy_box(const Box& part, const Box& from, std::span<const float> source, const Box& to,
              std::span<float> target) {
  const auto dim = std::max(run_dim(from, part), run_dim(to, part));
  const auto run = product(dims_from(part, dim));
  auto at = part.start;
  for (auto runs = product(std::span(part.count).first(dim)); runs > 0; --runs) {
    std::copy_n(source.begin() + offset_in(from, at), run, target.begin() + offset_in(to, at));
    for (auto outer = dim; outer-- > 0;) {
      if (++at[outer] < part.start[outer] + part.count[outer]) break;
      at[outer] = part.start[outer];
    }
  }
}

}  // namespace fulgur
