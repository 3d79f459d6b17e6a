#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "recipes/rules/rules.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

using Texts = std::vector<std::string>;

// The codes of what is wrong with a job. In small_job() there are 4 layers, 4 heads, 2 key and value
// heads, 264 tokens in the vocabulary, 4 experts of inner width 48, 4 sequences of 128 tokens.
Texts codes(const Job& job) {
  Texts all;
  for (const auto& violation : violations(job))
    all.push_back(violation.code);
  return all;
}

Job with_layout(const Layout& layout) {
  auto job = test::small_job();
  job.layout = layout;
  return job;
}

std::string help(const Job& job) {
  const auto found = violations(job);
  return found.empty() ? "" : found[0].help;
}

TEST_SUITE("recipes/rules/layout") {
  TEST_CASE("every axis alone, and all of them together, break no rule where they divide") {
    for (const auto* text : {"pp=4", "dp=4", "cp=64", "tp=2", "tp=4", "dp=2,ep=2", "tp=4,etp=4",
                             "cp=3,etp=3", "pp=2,dp=2,cp=2,tp=2,ep=4,etp=2", "cp=4,ep=2,etp=2"}) {
      CAPTURE(text);
      CHECK(codes(with_layout(parse_layout(text))) == Texts{});
    }
  }

  TEST_CASE("the experts' mesh must divide the other one") {
    CHECK(codes(with_layout(parse_layout("dp=2,ep=4"))) == Texts{"E0262"});
    CHECK(codes(with_layout(parse_layout("dp=4,cp=3,ep=2,etp=4"))) == Texts{"E0262"});
    CHECK(codes(with_layout(parse_layout("dp=4,cp=3,ep=2,etp=6"))) == Texts{});
    // Stages do not share experts.
    CHECK(codes(with_layout(parse_layout("pp=4,ep=4"))) == Texts{"E0262"});
    CHECK(help(with_layout(parse_layout("dp=4,cp=3,ep=2,etp=4"))) ==
          "nearest ep x etp: 6 or 12; nearest dp x cp x tp: 8 or 16");
  }

  TEST_CASE("tp cuts or copies key and value heads, but cuts heads and vocabulary") {
    auto job = with_layout({.tp = 8});
    CHECK(codes(job) == Texts{"E0263"});
    job.model.heads = 8;
    job.model.kv_heads = 8;
    CHECK(codes(job) == Texts{});
    job.model.kv_heads = 2;
    CHECK(codes(job) == Texts{});
    job.model.vocabulary = 260;
    CHECK(codes(job) == Texts{"E0264"});
    job = with_layout({.tp = 6});
    job.model.heads = 12;
    job.model.kv_heads = 4;
    CHECK(codes(job) == Texts{"E0265"});
    CHECK(help(job) == "nearest tp: 4 or 8");
  }

  TEST_CASE("a sequence needs a token for each chunk, but none without cp") {
    auto job = with_layout({.cp = 4});
    job.train.sequence_length = 8;
    CHECK(codes(job) == Texts{});
    job.train.sequence_length = 7;
    CHECK(codes(job) == Texts{"E0268"});
    CHECK(help(job) == "sequence_length: 8 or more; cp: at most 3; or context.order: contiguous");
    job.context.order = ContextOrder::kContiguous;
    CHECK(codes(job) == Texts{});
    job.train.sequence_length = 3;
    CHECK(codes(job) == Texts{"E0268"});
    job.layout.cp = 1;
    job.train.sequence_length = 1;
    CHECK(codes(job) == Texts{});
    job.context.order = ContextOrder::kZigzag;
    CHECK(codes(job) == Texts{});
  }

  TEST_CASE("the cp rank with the fewest tokens must have one for each tp rank") {
    auto job = with_layout({.dp = 4, .cp = 2, .tp = 4});
    job.train.sequence_length = 7;  // zigzag chunks of 1 2 2 2 tokens: ranks of 3 and 4
    CHECK(codes(job) == Texts{"E0269"});
    job.context.order = ContextOrder::kContiguous;  // ranks of 3 and 4 as well
    CHECK(codes(job) == Texts{"E0269"});
    job.train.sequence_length = 8;
    CHECK(codes(job) == Texts{});
    job.layout.dp = 2;  // two sequences on a rank
    job.train.sequence_length = 4;
    CHECK(codes(job) == Texts{});
  }

  TEST_CASE("more ranks than an int counts are refused before anybody multiplies") {
    auto job = with_layout({.pp = 2, .dp = 1 << 15, .cp = 1 << 15});
    job.train = {.steps = 1, .sequence_length = 1 << 16, .batch = 1 << 15, .micro_batch = 1 << 15};
    CHECK(codes(job) == Texts{"E0261"});
    job.layout.pp = 1;
    CHECK(codes(job) == Texts{});
  }
}

TEST_SUITE("recipes/rules/pipeline") {
  TEST_CASE("virtual stages are for the interleaved schedule on several stages") {
    auto job = with_layout({.pp = 2});
    for (const auto schedule : {PipelineSchedule::k1F1B, PipelineSchedule::kZeroBubble}) {
      job.pipeline = {.schedule = schedule, .virtual_stages = 1, .layers = {}};
      CHECK(codes(job) == Texts{});
      job.pipeline.virtual_stages = 2;
      CHECK(codes(job) == Texts{"E0271"});
    }
    job.pipeline.schedule = PipelineSchedule::kInterleaved;
    CHECK(codes(job) == Texts{});
    job.pipeline.virtual_stages = 1;
    CHECK(codes(job) == Texts{"E0271"});
    job.pipeline.virtual_stages = 2;
    job.layout.pp = 1;
    CHECK(codes(job) == Texts{"E0272"});
  }

  TEST_CASE("micro-batches need not be a multiple of the stages") {
    auto job = with_layout({.pp = 2});
    job.pipeline = {.schedule = PipelineSchedule::kInterleaved, .virtual_stages = 2, .layers = {}};
    for (const std::int64_t micro_batches : {1, 2, 3, 7}) {
      job.train.batch = 4 * micro_batches;
      CHECK(codes(job) == Texts{});
    }
  }

  TEST_CASE("a piece without layers is one that the recipe gives 0") {
    auto job = with_layout({.pp = 5});
    CHECK(codes(job) == Texts{"E0273"});
    job.pipeline.layers = {1, 0, 1, 1, 1};
    CHECK(codes(job) == Texts{});
    job.pipeline.layers = {1, 1, 1, 1};
    CHECK(codes(job) == Texts{"E0274"});
    job.pipeline.layers = {1, 1, 1, 1, 1};
    CHECK(codes(job) == Texts{"E0275"});
    CHECK(help(job) == "1 fewer");
    job.pipeline.layers = {1, 1};
    CHECK(codes(job) == Texts{"E0274", "E0275"});
  }

  TEST_CASE("the loss over all layers together stays on one stage") {
    auto job = with_layout({.pp = 2});
    job.model.aux_loss = AuxLoss::kMixtral;
    CHECK(codes(job) == Texts{"E0276"});
    job.layout.pp = 1;
    CHECK(codes(job) == Texts{});
  }
}

}  // namespace
}  // namespace fulgur
