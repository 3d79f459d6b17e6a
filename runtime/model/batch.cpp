#include "runtime/model/batch.hpp"

#include <utility>
#include <vector>

#include "kernels/transfer.hpp"

namespace fulgur {
namespace {

using Ints = std::vector<std::int32_t>;

Tensor uploaded(const Context& ctx, Ints values, const Shape& dims) {
  const auto tensor = ctx.arena.allocate(dims, DType::kInt32);
  upload(std::move(values), tensor, ctx.stream);
  return tensor;
}

}  // namespace

Batch make_batch(const Context& ctx, std::span<const Sample> samples) {
  Ints ids, labels, positions, starts{0}, spans;
  for (const auto& sample : samples) {
    const auto base = static_cast<std::int32_t>(ids.size());
    ids.insert(ids.end(), sample.ids.begin(), sample.ids.end());
    labels.insert(labels.end(), sample.labels.begin(), sample.labels.end());
    for (std::size_t d = 0; d + 1 < sample.starts.size(); ++d) {
      const auto begin = base + sample.starts[d], end = base + sample.starts[d + 1];
      for (std::int32_t position = 0; position < end - begin; ++position)
        positions.push_back(position);
      starts.push_back(end);
      spans.insert(spans.end(), {begin, end, begin, end, 0});
    }
  }
  const auto tokens = static_cast<std::int64_t>(ids.size());
  const auto documents = static_cast<std::int64_t>(starts.size()) - 1;
  const Ints no_slot(static_cast<std::size_t>(documents), -1);
  return {.tokens = tokens,
          .ids = uploaded(ctx, std::move(ids), {tokens}),
          .labels = uploaded(ctx, std::move(labels), {tokens}),
          .positions = uploaded(ctx, std::move(positions), {tokens}),
          .segments = {.starts = uploaded(ctx, std::move(starts), {documents + 1}),
                       .in_slot = uploaded(ctx, no_slot, {documents}),
                       .out_slot = uploaded(ctx, no_slot, {documents})},
          .spans = uploaded(ctx, std::move(spans), {documents, 5})};
}

}  // namespace fulgur
