#include "runtime/train/generate.hpp"

#include "kernels/random.hpp"
#include "kernels/transfer.hpp"
#include "recipes/phases.hpp"
#include "runtime/checkpoint/reader.hpp"
#include "runtime/data/utf8.hpp"
#include "runtime/model/model.hpp"
#include "runtime/train/restore.hpp"
#include "runtime/train/sampling.hpp"

namespace fulgur {
namespace {

class Generator {
 public:
  // The job is as the checkpoint was trained.
  Generator(const Job& job, CheckpointReader& checkpoint)
      : job_(of_one_rank(job_of_step(job, checkpoint.manifest().step))),
        mesh_(job_.layout, Rank{0}, Device::kCpu, alone()),
        piece_{.first = 0, .last = job_.model.layers},
        parameters_(job_.model, job_.optimizer.decay_on, mesh_, {&piece_, 1}),
        model_(job_.model, piece_, parameters_, {.mesh = mesh_}) {
    read_weights(checkpoint, parameters_, stream_);
  }

  // The logits of the token behind `ids`, one document.
  std::vector<float> next_logits(const std::vector<std::int32_t>& ids) {
    const Arena::Scope scope(arena_);
    const Context ctx{stream_, arena_};
    const auto count = static_cast<std::int32_t>(ids.size());
    const Sample sample{
        .ids = ids, .labels = std::vector<std::int32_t>(ids.size(), -1), .starts = {0, count}};
    const auto grid = token_grid(job_.layout, job_.context.order, 1, count);
    const auto batch = make_batch(ctx, mesh_, grid, {&sample, 1});
    const auto routing = RoutingStatistics::allocate(ctx, job_.model.layers, job_.model.experts);
    Model::Saved saved;
    model_.forward(ctx, batch, {}, routing, saved);
    const auto logits = arena_.allocate({1, job_.model.vocabulary});
    model_.logits(ctx, saved.hidden.slice(0, count - 1, 1), logits);
    return download<float>(logits, stream_);
  }

 private:
  static Job of_one_rank(Job job) {
    job.layout = {};
    return job;
  }

  Job job_;
  Stream stream_{Device::kCpu};
  Arena arena_{Device::kCpu};
  Mesh mesh_;
  ModelPiece piece_;
  ParameterSet parameters_;
  Model model_;
};

double uniform(std::uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace

void generate(const Job& job, const std::filesystem::path& checkpoint, const GenerateSpec& spec,
              Host& host) {
  host.enter("generate");
  const auto tokenizer = make_tokenizer(job.data.tokenizer);
  auto ids = tokenizer->encode(spec.prompt);
  if (ids.empty()) throw std::invalid_argument("generate: the prompt is empty");
  CheckpointReader reader(checkpoint);
  Generator generator(job, reader);
  host.print(spec.prompt);

  std::string pending;  // the beginning of a character that is not complete yet
  for (std::int64_t i = 0; i < spec.tokens && !host.stop_requested(); ++i) {
    auto logits = generator.next_logits(ids);
    logits.resize(static_cast<std::size_t>(tokenizer->vocabulary()));  // the rest is padding
    const auto draw = uniform(random_bits(spec.seed, "generate", static_cast<std::uint64_t>(i)));
    const auto id = sample_token(logits, spec.temperature, spec.top_p, draw);
    if (id == tokenizer->eos()) break;
    ids.push_back(id);
    pending += tokenizer->decode({id});
    host.print(take_complete_utf8(pending));
  }
}

}  // namespace fulgur
