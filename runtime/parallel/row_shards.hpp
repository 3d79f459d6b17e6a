#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/context.hpp"
#include "runtime/comm/communicator.hpp"

namespace fulgur {

// Sequence parallelism (arXiv 2205.05198; docs/math.md 2.5): between blocks a tp rank holds a part of
// the rows of every activation, inside a block all rows of a part of its heads or columns. `cuts` are
// row_cuts(T, tp): rank i of `tp` holds the rows cuts[i] .. cuts[i+1]-1.
//
// Everything is queued on ctx.stream. A group of one rank moves and copies nothing.

// x [cuts[i+1] - cuts[i], C] of every rank to [T, C], in ctx.arena; x itself when the rank is alone.
Tensor gather_rows(const Context& ctx, Communicator& tp, std::span<const std::int64_t> cuts,
                   const Tensor& x, std::string_view what);

// Where a block writes its part of a sum over the tp ranks: [T, C] in ctx.arena; `rows`, the place of
// this rank's share of the sum, when the rank is alone.
Tensor partial_sum(const Context& ctx, Communicator& tp, std::span<const std::int64_t> cuts,
                   const Tensor& rows);

// rows = this rank's share of the sum over the ranks of `partial`, as partial_sum() gave it.
void scatter_sum(const Context& ctx, Communicator& tp, std::span<const std::int64_t> cuts,
                 const Tensor& partial, const Tensor& rows, std::string_view what);

}  // namespace fulgur
