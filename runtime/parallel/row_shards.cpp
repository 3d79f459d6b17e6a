#include "runtime/parallel/row_shards.hpp"

#include <vector>

namespace fulgur {
namespace {

std::vector<std::int64_t> element_counts(std::span<const std::int64_t> cuts, std::int64_t columns) {
  std::vector<std::int64_t> counts;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
    counts.push_back((cuts[i + 1] - cuts[i]) * columns);
  return counts;
}

}  // namespace

Tensor gather_rows(const Context& ctx, Communicator& tp, std::span<const std::int64_t> cuts,
                   const Tensor& x, std::string_view what) {
  if (tp.size() == 1) return x;
  const auto all = ctx.arena.allocate({cuts.back(), x.dims[1]}, x.dtype);
  tp.all_gather_v(x, all, element_counts(cuts, x.dims[1]), ctx.stream, what);
  return all;
}

Tensor partial_sum(const Context& ctx, Communicator& tp, std::span<const std::int64_t> cuts,
                   const Tensor& rows) {
  if (tp.size() == 1) return rows;
  return ctx.arena.allocate({cuts.back(), rows.dims[1]}, rows.dtype);
}

void scatter_sum(const Context& ctx, Communicator& tp, std::span<const std::int64_t> cuts,
                 const Tensor& partial, const Tensor& rows, std::string_view what) {
  if (tp.size() == 1) return;
  tp.reduce_scatter_v(partial, rows, element_counts(cuts, rows.dims[1]), ctx.stream, what);
}

}  // namespace fulgur
