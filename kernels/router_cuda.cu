#include <cuda_runtime.h>

#include "kernels/cuda_column_sums.cuh"
#include "kernels/router_impl.hpp"

//   T tokens, E experts, k choices; one warp has a token
namespace fulgur::cuda {
namespace {

constexpr int kTokensOfBlock = kThreads / kWarp;

__device__ void softmax(const float* logits, float* p, std::int64_t E, unsigned lane) {
  float largest = -INFINITY;
  for (std::int64_t e = lane; e < E; e += kWarp)
    largest = fmaxf(largest, logits[e]);
  largest = warp_max(largest);
  double sum = 0;
  for (std::int64_t e = lane; e < E; e += kWarp) {
    p[e] = expf(logits[e] - largest);
    sum += static_cast<double>(p[e]);
  }
  const auto factor = static_cast<float>(1.0 / warp_sum(sum));
  for (std::int64_t e = lane; e < E; e += kWarp)
    p[e] *= factor;
}

// An expert in the order of choice: the larger p first, on a tie the lower number.
struct Candidate {
  float p;
  std::int32_t expert;  // beyond all experts: none

  __device__ bool is_before(const Candidate& other) const {
    return p > other.p || (p == other.p && expert < other.expert);
  }
};

// The first candidate behind `last`. A p that is not a number counts as less than all others.
__device__ Candidate next_best(const float* p, std::int32_t E, Candidate last, unsigned lane) {
  Candidate best{-INFINITY, E};
  for (auto e = static_cast<std::int32_t>(lane); e < E; e += kWarp) {
    const Candidate candidate{isnan(p[e]) ? -1.0f : p[e], e};
    if (last.is_before(candidate) && candidate.is_before(best)) best = candidate;
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const Candidate other{__shfl_xor_sync(kAllLanes, best.p, offset),
                          __shfl_xor_sync(kAllLanes, best.expert, offset)};
    if (other.is_before(best)) best = other;
  }
  return best;
}

struct Forward {
  const float* logits;
  float *p, *weights;
  std::int32_t *experts, *counts;
  std::int64_t T, E, k;
};
__global__ void forward_kernel(Forward args) {
  const auto t = std::int64_t{blockIdx.x} * kTokensOfBlock + threadIdx.x / kWarp;
  const auto lane = threadIdx.x % kWarp;
  if (t >= args.T) return;
  float* p = args.p + t * args.E;
  softmax(args.logits + t * args.E, p, args.E, lane);

  auto* experts = args.experts + t * args.k;
  Candidate last{INFINITY, -1};
  double sum = 0;
  for (std::int64_t j = 0; j < args.k; ++j) {
    last = next_best(p, static_cast<std::int32_t>(args.E), last, lane);
    sum += static_cast<double>(last.p);
    if (lane == 0) {
      experts[j] = last.expert;
      atomicAdd(args.counts + last.expert, 1);  // of integers: any order gives the same
    }
  }
  __syncwarp();
  for (std::int64_t j = lane; j < args.k; j += kWarp)
    args.weights[t * args.k + j] = static_cast<float>(p[experts[j]] / sum);
}

struct Backward {
  const float *dweights, *dprobability, *p, *weights;
  const std::int32_t* experts;
  float* dlogits;
  std::int64_t T, E, k;
};
__global__ void backward_kernel(Backward args) {
  const auto t = std::int64_t{blockIdx.x} * kTokensOfBlock + threadIdx.x / kWarp;
  const auto lane = threadIdx.x % kWarp;
  if (t >= args.T) return;
  const float *p = args.p + t * args.E, *weights = args.weights + t * args.k,
              *dweights = args.dweights + t * args.k;
  const auto* experts = args.experts + t * args.k;
  double sum = 0, mean = 0, dot = 0;  // dot: of p and the gradient of p
  for (std::int64_t j = lane; j < args.k; j += kWarp) {
    require(experts[j] >= 0 && experts[j] < args.E);
    sum += static_cast<double>(p[experts[j]]);
    mean += static_cast<double>(dweights[j]) * static_cast<double>(weights[j]);
  }
  sum = warp_sum(sum);
  mean = warp_sum(mean);
  for (std::int64_t j = lane; j < args.k; j += kWarp)
    dot += p[experts[j]] * ((dweights[j] - mean) / sum);
  for (std::int64_t e = lane; e < args.E; e += kWarp)
    dot += static_cast<double>(p[e]) * static_cast<double>(args.dprobability[e]);
  dot = warp_sum(dot);
  for (std::int64_t e = lane; e < args.E; e += kWarp) {
    double dp = args.dprobability[e];
    for (std::int64_t j = 0; j < args.k; ++j) {
      if (experts[j] == e) dp += (dweights[j] - mean) / sum;
    }
    args.dlogits[t * args.E + e] = static_cast<float>(p[e] * (dp - dot));
  }
}

struct Replay {
  const float *reference, *p;
  float* weights;
  std::int32_t *experts, *counts, *replayed;
  std::int64_t T, E, k;
  double gap;
};
__global__ void replay_kernel(Replay args) {
  const auto t = std::int64_t{blockIdx.x} * kTokensOfBlock + threadIdx.x / kWarp;
  const auto lane = threadIdx.x % kWarp;
  if (t >= args.T) return;
  const auto E = static_cast<std::int32_t>(args.E);
  const float *reference = args.reference + t * args.E, *p = args.p + t * args.E;
  auto* experts = args.experts + t * args.k;
  const Candidate before_all{INFINITY, -1};

  bool differs = false;
  auto last = before_all;
  for (std::int64_t j = 0; j < args.k; ++j) {
    last = next_best(reference, E, last, lane);
    bool is_chosen = false;
    for (std::int64_t i = lane; i < args.k; i += kWarp) {
      require(experts[i] >= 0 && experts[i] < E);
      is_chosen = is_chosen || experts[i] == last.expert;
    }
    differs = differs || __any_sync(kAllLanes, is_chosen) == 0;
  }
  const auto next = next_best(reference, E, last, lane);
  const bool is_near_tie = static_cast<double>(last.p) - static_cast<double>(next.p) <=
                           args.gap * static_cast<double>(last.p);
  if (!differs || !is_near_tie) return;

  double sum = 0;
  auto chosen = before_all;
  for (std::int64_t j = 0; j < args.k; ++j) {
    chosen = next_best(reference, E, chosen, lane);
    sum += static_cast<double>(p[chosen.expert]);
    if (lane != 0) continue;
    atomicAdd(args.counts + experts[j], -1);
    experts[j] = chosen.expert;
    atomicAdd(args.counts + experts[j], 1);
  }
  if (lane == 0) atomicAdd(args.replayed, 1);
  __syncwarp();
  for (std::int64_t j = lane; j < args.k; j += kWarp)
    args.weights[t * args.k + j] = static_cast<float>(p[experts[j]] / sum);
}

}  // namespace

void router_forward(const RouterForward& args, Stream& stream) {
  const Forward forward{.logits = args.logits.as<float>(),
                        .p = args.probabilities.as<float>(),
                        .weights = args.weights.as<float>(),
                        .experts = args.experts.as<std::int32_t>(),
                        .counts = args.counts.as<std::int32_t>(),
                        .T = args.logits.dims[0],
                        .E = args.logits.dims[1],
                        .k = args.weights.dims[1]};
  forward_kernel<<<grid_size(divide_up(forward.T, kTokensOfBlock)), kThreads, 0, native(stream)>>>(
      forward);
  check_launch("router_forward");
  const auto* p = forward.p;
  const auto E = forward.E;
  add_column_sums(
      {forward.T, E}, args.probability_sums.as<double>(), stream, "router_forward",
      [=] __device__(std::int64_t t, std::int64_t e) { return static_cast<double>(p[t * E + e]); });
}

void router_backward(const RouterBackward& args, Stream& stream) {
  const Backward backward{.dweights = args.dweights.as<float>(),
                          .dprobability = args.dprobability.as<float>(),
                          .p = args.probabilities.as<float>(),
                          .weights = args.weights.as<float>(),
                          .experts = args.experts.as<std::int32_t>(),
                          .dlogits = args.dlogits.as<float>(),
                          .T = args.probabilities.dims[0],
                          .E = args.probabilities.dims[1],
                          .k = args.weights.dims[1]};
  backward_kernel<<<grid_size(divide_up(backward.T, kTokensOfBlock)), kThreads, 0,
                    native(stream)>>>(backward);
  check_launch("router_backward");
}

void router_replay(const RouterReplay& args, Stream& stream) {
  const Replay replay{.reference = args.reference.as<float>(),
                      .p = args.probabilities.as<float>(),
                      .weights = args.weights.as<float>(),
                      .experts = args.experts.as<std::int32_t>(),
                      .counts = args.counts.as<std::int32_t>(),
                      .replayed = args.replayed.as<std::int32_t>(),
                      .T = args.reference.dims[0],
                      .E = args.reference.dims[1],
                      .k = args.weights.dims[1],
                      .gap = args.gap};
  replay_kernel<<<grid_size(divide_up(replay.T, kTokensOfBlock)), kThreads, 0, native(stream)>>>(
      replay);
  check_launch("router_replay");
}

}  // namespace fulgur::cuda
