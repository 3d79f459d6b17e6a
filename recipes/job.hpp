#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recipes/layout.hpp"

namespace fulgur {

// A Job is a recipe fully resolved: plain data, no defaults left. The coordinator makes it, checks it
// and sends it to every worker. What each field means to a user stands at its declaration in
// recipes/fields/; here stand the types.

// Where the workers compute; auto takes CUDA when the worker was built with it and a device is there.
enum class DeviceKind { kAuto, kCpu, kCuda };
// Over what workers exchange tensors: auto takes NCCL between GPUs where the worker was built with it, and
// UCX otherwise; UCX moves a GPU's tensors through the host's memory.
enum class Transport { kAuto, kNccl, kUcx };
enum class ClusterKind { kLocal, kSsh, kSlurm, kKubernetes };
enum class Preflight { kAuto, kAlways, kNever };
// Whether a GPU gets the work of a layer at once, where it can, or kernel by kernel.
enum class CudaGraphs { kAuto, kNever };
// The two forms of the load-balancing loss (docs/math.md 1.3): per layer over the micro-batch, or over
// all layers together.
enum class AuxLoss { kGshard, kMixtral };
// How a sequence is cut over the cp ranks (docs/math.md 2.1): two chunks for a rank, one from each end,
// so that causal softmax attention is balanced; or one run of tokens.
enum class ContextOrder { kZigzag, kContiguous };
// How lightning attention crosses cp ranks: by one all-gather of states, or by a ring of cp steps.
enum class LightningContext { kLaspPlus, kLasp };
// The order of forward and backward passes on a pipeline stage (docs/math.md 2.6).
enum class PipelineSchedule { k1F1B, kInterleaved, kZeroBubble };
// What the backward pass calculates again instead of keeping it: nothing; cheap inner activations of
// attention and experts; everything but each layer's input.
enum class Recompute { kNone, kSelective, kFull };
// In what the model calculates (arXiv 1710.03740): float32; or on GPUs bfloat16 weights and activations,
// with float32 master weights, gradients, router, lightning states, norms and loss.
enum class Precision { kFloat32, kBFloat16 };
// What weight decay pulls on: everything with two or more dimensions, or norms too.
enum class WeightDecayOn { kMatrices, kAll };

// A model of MiniMax-01's kind; the letters are those of docs/math.md 1.
struct ModelSpec {
  std::int64_t vocabulary = 0;  // V
  std::int64_t layers = 0;      // L
  std::int64_t hidden = 0;      // C
  std::int64_t heads = 0;       // H
  std::int64_t kv_heads = 0;    // G, softmax layers
  std::int64_t head_dim = 0;    // d
  std::int64_t rotary_dim = 0;  // of d, softmax layers
  double rope_base = 10000;
  std::int64_t softmax_every =
      8;  // layer l is softmax when (l + 1) is a multiple, unless listed below
  std::vector<std::int64_t> softmax_layers;  // 0-based, by hand; empty: by softmax_every
  std::int64_t experts = 0;                  // E
  std::int64_t experts_per_token = 2;        // k
  std::int64_t expert_hidden = 0;            // F
  double norm_eps = 1e-5;
  double lightning_norm_eps = 1e-5;
  // y = alpha norm(x) + beta block(norm(x)); one pair for each kind of block.
  double lightning_alpha = 1, lightning_beta = 1;
  double softmax_alpha = 1, softmax_beta = 1;
  double moe_alpha = 1, moe_beta = 1;
  double aux_loss_coef = 0;
  AuxLoss aux_loss = AuxLoss::kGshard;
  // An expert takes at most ceil(capacity_factor k T / E) of a global micro-batch's T tokens and drops
  // the rest; 0: it takes all (dropless).
  double capacity_factor = 0;

  friend bool operator==(const ModelSpec&, const ModelSpec&) = default;
};

enum class AttentionKind { kLightning, kSoftmax };

// The kind of attention in layer `layer`, 0 <= layer < model.layers.
AttentionKind attention_kind(const ModelSpec& model, std::int64_t layer);

// Named texts side by side, of which training takes samples by weight: a list for each of their values, all
// of one length (recipes/data_sources.hpp).
struct DataSourcesSpec {
  std::vector<std::string> name;
  std::vector<std::vector<std::string>> files;  // as DataSpec::files
  std::vector<double> weight;                   // where no phase gives a mix; only ratios count

  friend bool operator==(const DataSourcesSpec&, const DataSourcesSpec&) = default;
};

// The text to train on: either files, or sources.
struct DataSpec {
  std::string tokenizer = "bytes";
  std::vector<std::string> files;  // text files; absolute, sorted and without patterns in a Job
  DataSourcesSpec sources;
  std::vector<std::string> exclude;  // patterns of files to leave out; in a Job they are left out
  std::string document_separator;    // a line that ends a document; empty: one document a file

  friend bool operator==(const DataSpec&, const DataSpec&) = default;
};

// How much of it, and in what portions.
struct TrainSpec {
  std::int64_t steps = 0;            // this run stops here; not part of the identity
  std::int64_t sequence_length = 0;  // N
  std::int64_t batch = 0;            // sequences per step
  std::int64_t micro_batch = 0;  // sequences that all dp ranks process together in one micro-step
  Precision precision = Precision::kFloat32;
  CudaGraphs cuda_graphs = CudaGraphs::kAuto;
  std::uint64_t seed = 0;

  friend bool operator==(const TrainSpec&, const TrainSpec&) = default;
};

// The layouts of phases; 0: as before.
struct PhaseLayouts {
  std::vector<std::int64_t> pp, dp, cp, tp, ep, etp;

  friend bool operator==(const PhaseLayouts&, const PhaseLayouts&) = default;
};

// Stretches of training after the first, which is as TrainSpec says: a list for each of their values, all of
// one length (recipes/phases.hpp).
struct PhasesSpec {
  std::vector<std::int64_t> from;             // tokens seen, ascending
  std::vector<std::int64_t> sequence_length;  // 0: as before
  std::vector<std::int64_t> batch;            // 0: as before
  std::vector<std::int64_t> micro_batch;      // 0: as before
  std::vector<double> learning_rate;          // at the beginning; -1: not given
  std::vector<double> rope_base;              // 0: as before
  // Weights of the sources, one for each (recipes/data_mix.hpp). The mix goes in a straight line from
  // mix_from to mix over mix_over tokens.
  std::vector<std::vector<double>> mix;       // empty: as before
  std::vector<std::vector<double>> mix_from;  // empty: as at the end of the phase before
  std::vector<std::int64_t> mix_over;         // tokens
  // Shares of all samples that sources take from addition_from tokens on, until the phase ends.
  std::vector<std::vector<double>> addition;  // empty: none
  std::vector<std::int64_t> addition_from;    // tokens seen; 0: the last fifth of the phase
  PhaseLayouts layout;

  friend bool operator==(const PhasesSpec&, const PhasesSpec&) = default;
};

// Linear warm-up from 0 to peak, constant, then a cosine from peak to final over decay_tokens from
// decay_from on; final after that. In tokens, so that batch and steps can change.
struct LearningRateSpec {
  double peak = 0;
  double final = 0;
  std::int64_t warmup_tokens = 0;
  std::int64_t decay_from = 0;
  std::int64_t decay_tokens = 0;  // 0: no decay

  friend bool operator==(const LearningRateSpec&, const LearningRateSpec&) = default;
};

// AdamW (docs/math.md 3).
struct OptimizerSpec {
  LearningRateSpec learning_rate;
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1;
  WeightDecayOn decay_on = WeightDecayOn::kMatrices;
  double clip_norm = 1;            // 0: no clipping
  std::int64_t bucket = 16 << 20;  // elements that one reduction of gradients moves at a time

  friend bool operator==(const OptimizerSpec&, const OptimizerSpec&) = default;
};

// How sequences are spread over the cp ranks.
struct ContextSpec {
  ContextOrder order = ContextOrder::kZigzag;
  LightningContext lightning = LightningContext::kLaspPlus;

  friend bool operator==(const ContextSpec&, const ContextSpec&) = default;
};

// ExchangeSpec::token_groups of a recipe that leaves it to the planner; a Job that runs has a number.
inline constexpr std::int64_t kAutoTokenGroups = 0;

// How tokens travel to their experts.
struct ExchangeSpec {
  std::int64_t token_groups = 1;  // one group's exchange runs while another's experts compute

  friend bool operator==(const ExchangeSpec&, const ExchangeSpec&) = default;
};

// How layers are spread over the pp stages, and in which order they work.
struct PipelineSpec {
  PipelineSchedule schedule = PipelineSchedule::k1F1B;
  std::int64_t virtual_stages = 1;   // pieces of the model per stage
  std::vector<std::int64_t> layers;  // in each of the pp * virtual_stages pieces; empty: by cost

  friend bool operator==(const PipelineSpec&, const PipelineSpec&) = default;
};

struct MemorySpec {
  Recompute recompute = Recompute::kNone;

  friend bool operator==(const MemorySpec&, const MemorySpec&) = default;
};

// When to save, and how many to keep.
struct CheckpointSpec {
  std::int64_t every = 0;  // steps; 0: at the end and at a stop only
  std::int64_t keep = 2;

  friend bool operator==(const CheckpointSpec&, const CheckpointSpec&) = default;
};

// How a run goes on from a checkpoint.
struct ResumeSpec {
  std::vector<std::string> allow_change;  // fields of the identity that may differ all the same

  friend bool operator==(const ResumeSpec&, const ResumeSpec&) = default;
};

// What a job of Slurm asks for; empty and 0: what Slurm gives by itself.
struct SlurmSpec {
  std::string partition, account, qos;
  double time_seconds = 0;  // the time limit
  std::int64_t gpus_per_node = 0;
  std::int64_t cpus_per_node = 0;
  double warning_seconds = 120;      // before the time limit: checkpoint and requeue
  std::vector<std::string> options;  // of sbatch, as they are: "--constraint=h200"

  friend bool operator==(const SlurmSpec&, const SlurmSpec&) = default;
};

// Where the workers run, and how long silence is forgiven.
struct ClusterSpec {
  ClusterKind kind = ClusterKind::kLocal;
  Transport transport = Transport::kAuto;
  double heartbeat_seconds = 1;       // between two signs of life of a worker
  double dead_after_seconds = 5;      // without one: the worker is dead
  double comm_timeout_seconds = 300;  // the longest wait of a collective for its peers
  std::int64_t nodes = 1;             // Slurm, Kubernetes: each has as many workers
  std::vector<std::string> hosts;     // ssh: recipes/hosts.hpp
  std::vector<std::string> exclude;   // nodes or hosts that are not to be used
  std::string address;                // of the coordinator for the nodes; empty: they find it
  Preflight preflight = Preflight::kAuto;
  std::vector<std::string> environment;  // of the workers, "NAME=value"
  SlurmSpec slurm;

  friend bool operator==(const ClusterSpec&, const ClusterSpec&) = default;
};

// When a run stops by itself, with a checkpoint; it goes on when it is started again.
struct StopSpec {
  double after_seconds = 0;  // 0: never
  std::string at;            // UTC, "2026-01-31T08:00:00Z"; empty: never

  friend bool operator==(const StopSpec&, const StopSpec&) = default;
};

// What a run does about faults; docs/reliability.md.
struct FaultsSpec {
  std::int64_t restarts = 5;                // in restarts_per_seconds; then the run fails
  double restarts_per_seconds = 86400;      // the window in which restarts are counted
  std::int64_t no_progress = 3;             // attempts in a row without a new checkpoint: give up
  double setup_timeout_seconds = 600;       // until the second step is done
  double step_timeout_seconds = 0;          // 0: from the steps that were seen
  double checkpoint_timeout_seconds = 420;  // for the wait for the last checkpoint
  std::int64_t spares = 0;                  // Slurm: nodes beyond cluster.nodes
  std::int64_t min_dp = 0;  // the least dp after a loss of nodes; 0: that of the layout

  friend bool operator==(const FaultsSpec&, const FaultsSpec&) = default;
};

// A continuation of a prompt by the model.
struct GenerateSpec {
  std::string prompt;
  std::int64_t tokens = 0;   // 0: train prints no sample
  double temperature = 0.8;  // 0: greedy
  double top_p = 1;
  std::uint64_t seed = 0;

  friend bool operator==(const GenerateSpec&, const GenerateSpec&) = default;
};

struct Job {
  std::string name;
  std::string run_directory;  // runs/<name> unless given
  DeviceKind device = DeviceKind::kAuto;
  ModelSpec model;
  DataSpec data;
  TrainSpec train;
  PhasesSpec phases;
  OptimizerSpec optimizer;
  Layout layout;
  ContextSpec context;
  ExchangeSpec experts;
  PipelineSpec pipeline;
  MemorySpec memory;
  CheckpointSpec checkpoint;
  ResumeSpec resume;
  ClusterSpec cluster;
  StopSpec stopping;
  FaultsSpec faults;
  GenerateSpec sample;

  friend bool operator==(const Job&, const Job&) = default;
};

}  // namespace fulgur
