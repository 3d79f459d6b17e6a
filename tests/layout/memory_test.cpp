// The planner's memory of activations against the arenas of real steps.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "recipes/cost/arena_trace.hpp"
#include "recipes/cost/stage_memory.hpp"
#include "recipes/rules/rules.hpp"
#include "runtime/train/replica.hpp"
#include "tests/layout/small_job.hpp"

namespace fulgur {
namespace {

// Both experts take every token, so routing is even, and one document fills a sequence.
Job even_job() {
  auto job = test::small_job();
  job.model.hidden = 64;
  job.model.head_dim = 16;
  job.model.rotary_dim = 8;
  job.model.experts = 2;
  job.model.expert_hidden = 96;
  job.train.sequence_length = 192;
  return job;
}

std::vector<Sample> one_document_each(std::int64_t sequences, std::int64_t length) {
  Sample sample;
  sample.starts = {0, static_cast<std::int32_t>(length)};
  for (std::int32_t t = 0; t < length; ++t) {
    sample.ids.push_back(t % 250);
    sample.labels.push_back((t + 1) % 250);
  }
  return std::vector<Sample>(static_cast<std::size_t>(sequences), sample);
}

// [ranks] What the arenas of one step held.
std::map<int, double> measured(const Job& job) {
  std::map<int, double> bytes;
  std::mutex mutex;
  test::run_world(world_size(job.layout), [&](Rank rank, const MakeGroup& make_group) {
    Mesh mesh(job.layout, rank, Device::kCpu, make_group, job.pipeline.virtual_stages);
    Replica replica(job, mesh);
    initialise_weights(replica.optimizer().owned(), 1, replica.stream());
    replica.optimizer().gather_weights(replica.stream());
    const auto& train = job.train;
    const auto samples = [&](std::int64_t) {
      return one_document_each(train.micro_batch / job.layout.dp, train.sequence_length);
    };
    replica.run_passes({.samples = samples,
                        .micro_batches = train.batch / train.micro_batch,
                        .sequences = train.micro_batch,
                        .length = train.sequence_length,
                        .labelled_tokens = train.batch * train.sequence_length});
    replica.finish_step({});
    replica.wait();
    const std::lock_guard lock(mutex);
    bytes[rank.value()] = static_cast<double>(replica.pipeline().activation_bytes());
  });
  return bytes;
}

// The tables of documents and chunks are not predicted: their sizes depend on the text. Here they are at
// most some twenty tables in each arena.
constexpr double kTables = 20.0 * ArenaTrace::kAlignment;

void check_memory(const Job& job) {
  CAPTURE(to_string(job.layout));
  CAPTURE(static_cast<int>(job.memory.recompute));
  CAPTURE(static_cast<int>(job.pipeline.schedule));
  for (const auto& violation : violations(job))
    FAIL(violation.message);
  for (const auto& each : measured(job)) {
    const int rank = each.first;
    const double bytes = each.second;
    CAPTURE(rank);
    const int stage = dense_coordinate(Rank{rank}, job.layout).pp;
    const auto predicted = in_flight(job, rank_shape(job), stage, 1);
    CHECK(bytes >= predicted.bytes);
    CHECK(bytes <= predicted.bytes + predicted.most * kTables);
  }
}

void check_recomputations(Job job) {
  for (const auto recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
    job.memory.recompute = recompute;
    check_memory(job);
  }
}

}  // namespace

TEST_SUITE("layout") {
  TEST_CASE("the planned memory of activations is what the arenas of a step hold") {
    for (const auto* layout : {"dp=1", "dp=2", "tp=2", "pp=2", "dp=2,ep=2", "dp=2,etp=2",
                               "pp=2,tp=2,ep=2", "dp=2,tp=2,ep=2,etp=2"}) {
      auto job = even_job();
      job.layout = parse_layout(layout);
      check_recomputations(job);
    }
  }

  TEST_CASE("so is that of sequences that are cut over ranks") {
    for (const auto* layout : {"cp=2", "cp=4", "cp=2,tp=2,ep=2"}) {
      auto job = even_job();
      job.layout = parse_layout(layout);
      check_recomputations(job);
    }
    auto ring = even_job();
    ring.layout = parse_layout("cp=2");
    ring.context = {.order = ContextOrder::kContiguous, .lightning = LightningContext::kLasp};
    check_recomputations(ring);
  }

  TEST_CASE(
      "so is that of every pipeline schedule, of token groups, and of experts with a capacity") {
    auto job = even_job();
    job.layout = parse_layout("pp=2,dp=2,ep=2");
    job.train.micro_batch = 4;
    job.pipeline = {.schedule = PipelineSchedule::kZeroBubble};
    check_recomputations(job);
    job.pipeline = {.schedule = PipelineSchedule::kInterleaved, .virtual_stages = 2};
    check_recomputations(job);
    job.experts.token_groups = 3;
    check_recomputations(job);
    job.model.capacity_factor = 1;
    check_recomputations(job);
  }
}

}  // namespace fulgur
