#include "kernels/token_drop.hpp"

#include "kernels/checks.hpp"
#include "kernels/token_drop_impl.hpp"

namespace fulgur {

void key_runs(const KeyRuns& args, Stream& stream) {
  expect_ints(args.experts, {kAny, kAny}, "key_runs: experts");
  expect_ints(args.starts, {kAny}, "key_runs: starts");
  expect_ints(args.keys, args.experts.dims, "key_runs: keys");
  if (args.keys.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::key_runs(args, stream)
                                         : cuda::key_runs(args, stream);
}

void count_before(const CountBefore& args, Stream& stream) {
  expect_ints(args.before, {kAny, kAny}, "count_before: before");
  const auto n = args.before.dims[0], E = args.before.dims[1];
  expect_ints(args.all_offsets, {kAny, n * E + 1}, "count_before: all_offsets");
  expect_ints(args.order, {args.all_offsets.dims[0] * n}, "count_before: order");
  expect_ints(args.places, {n}, "count_before: places");
  if (args.before.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::count_before(args, stream)
                                         : cuda::count_before(args, stream);
}

void drop_ranked(const DropRanked& args, Stream& stream) {
  expect_ints(args.experts, {kAny, kAny}, "drop_ranked: experts");
  expect_ints(args.before, {kAny, kAny}, "drop_ranked: before");
  const auto n = args.before.dims[0], E = args.before.dims[1];
  expect_ints(args.starts, {n + 1}, "drop_ranked: starts");
  expect_ints(args.rows, args.experts.dims, "drop_ranked: rows");
  expect_ints(args.offsets, {n * E + 1}, "drop_ranked: offsets");
  expect_ints(args.kept, args.experts.dims, "drop_ranked: kept");
  expect_ints(args.dropped, {1}, "drop_ranked: dropped");
  expect_ints(args.dropped_alone, {1}, "drop_ranked: dropped_alone");
  if (args.kept.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::drop_ranked(args, stream)
                                         : cuda::drop_ranked(args, stream);
}

}  // namespace fulgur
