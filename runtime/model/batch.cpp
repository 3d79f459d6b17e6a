#include "runtime/model/batch.hpp"

#include <cstring>
#include <utility>
#include <vector>

namespace fulgur {
namespace {

using Ints = std::vector<std::int32_t>;

Tensor upload(const Context& ctx, Ints values, const Shape& dims) {
  const auto tensor = ctx.arena.allocate(dims, DType::kInt32);
  ctx.stream.run([values = std::move(values), tensor] {
    std::memcpy(tensor.data, values.data(), values.size() * sizeof(std::int32_t));
  });
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
          .ids = upload(ctx, std::move(ids), {tokens}),
          .labels = upload(ctx, std::move(labels), {tokens}),
          .positions = upload(ctx, std::move(positions), {tokens}),
          .segments = {.starts = upload(ctx, std::move(starts), {documents + 1}),
                       .in_slot = upload(ctx, no_slot, {documents}),
                       .out_slot = upload(ctx, no_slot, {documents})},
          .spans = upload(ctx, std::move(spans), {documents, 5})};
}

}  // namespace fulgur
