#include "runtime/train/routing_reference.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "recipes/near_tie.hpp"
#include "runtime/checkpoint/writer.hpp"
#include "tests/runtime/train/recorded_case.hpp"

namespace fulgur {
namespace {

using Case = test::RecordedCase;
using test::kSteps;
using test::values;

constexpr std::int64_t kExperts = 4, kTokens = 21;
constexpr const char* kRouter = "forward/layers.1.router.micro_batch.1";

// A token of micro-batch 1 which, in the second layer, is now a near tie that the other expert wins.
struct Moved {
  std::int64_t from = 0, to = 0;
};

Moved make_near_tie(float* p) {
  std::vector<std::int64_t> order(kExperts);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [p](auto a, auto b) { return p[a] > p[b]; });
  p[order[2]] = p[order[1]] * (1 + 0.3f * static_cast<float>(kNearTie));
  return {.from = order[1], .to = order[2]};
}

// Copies the record of `source` to `root`; `edit` changes the values of kRouter in step 1.
void copy_record(const Case& source, const std::filesystem::path& root,
                 const std::function<void(std::vector<float>&)>& edit) {
  for (int number = 1; number <= kSteps; ++number) {
    auto reader = source.step(number);
    auto manifest = reader.manifest();
    manifest.shards.clear();
    std::vector<std::vector<float>> kept;
    for (const auto& tensor : manifest.tensors) {
      kept.push_back(values(reader, tensor));
      if (number == 1 && tensor.name == kRouter) edit(kept.back());
    }
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const auto& tensor = manifest.tensors[i];
      pieces.push_back(
          {tensor.name,
           {.start = std::vector<std::int64_t>(tensor.shape.size(), 0), .count = tensor.shape},
           kept[i]});
    }
    manifest.shards.push_back(write_shard(staging_folder(root, number), 0, pieces));
    commit_checkpoint(root, staging_folder(root, number), manifest, kSteps);
  }
}

std::vector<std::int64_t> counts_of_layer(const StepReport& report, std::int64_t layer) {
  const auto begin = report.expert_counts.begin() + layer * kExperts;
  return {begin, begin + kExperts};
}

}  // namespace

TEST_SUITE("runtime/train/routing_reference") {
  TEST_CASE("a near tie of a recorded run goes where it went there, on every layout") {
    Case source;
    source.record();
    CHECK(source.reports.front().replayed == 0);
    auto expected = counts_of_layer(source.reports.front(), 1);
    const auto reference = source.folder.path() / "reference";
    copy_record(source, reference, [&](std::vector<float>& p) {
      for (const auto& [sequence, token] : {std::pair{1, 2}, {2, 20}, {3, 11}}) {
        const auto moved =
            make_near_tie(&p[static_cast<std::size_t>((sequence * kTokens + token) * kExperts)]);
        --expected[static_cast<std::size_t>(moved.from)];
        ++expected[static_cast<std::size_t>(moved.to)];
      }
    });

    Case one;
    one.record({.reference = reference});
    CHECK(one.reports.front().replayed == 3);
    CHECK(counts_of_layer(one.reports.front(), 1) == expected);
    CHECK(expected != counts_of_layer(source.reports.front(), 1));
    const auto check = [&](const Layout& layout, Recompute recompute, ContextOrder order) {
      Case many;
      many.job.layout = layout;
      many.job.memory.recompute = recompute;
      many.job.context.order = order;
      CAPTURE(to_string(layout));
      many.record({.reference = reference});
      CHECK(many.reports.front().replayed == 3);
      CHECK(many.reports.front().expert_counts == one.reports.front().expert_counts);
      test::check_same_records(many, one);
    };
    check({.dp = 2, .tp = 2, .ep = 2}, Recompute::kFull, ContextOrder::kZigzag);
    check({.pp = 2, .cp = 2}, Recompute::kNone, ContextOrder::kZigzag);
    check({.cp = 2, .tp = 2, .ep = 2, .etp = 2}, Recompute::kSelective, ContextOrder::kContiguous);
  }

  TEST_CASE("a reference that is not there, or of another size, is refused") {
    Case source, other;
    source.record();
    other.job.train.sequence_length = 20;
    CHECK_THROWS_WITH_AS(other.record({.reference = source.checkpoints()}),
                         "forward/layers.0.router.micro_batch.0: the reference has not 4 sequences "
                         "of 20 tokens",
                         CheckpointError);
    Case lost;
    CHECK_THROWS_AS(lost.record({.reference = lost.folder.path() / "none"}), CheckpointError);
  }
}

}  // namespace fulgur
