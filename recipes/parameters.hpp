#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recipes/job.hpp"

namespace fulgur {

// Elements [begin, end) of a parameter (flat) start as ones (std 0) or as std * normal. A parameter can
// have several parts: the fused qkv has the DeepNorm gain on v only, and Xavier's fans are those of each
// matrix that was fused.
struct InitPart {
  std::int64_t begin = 0, end = 0;
  double std = 0;
};

enum class ParameterKind { kDense, kExpert };  // which mesh holds and reduces it

// One logical tensor of the model, whole, as if one rank held it.
struct Parameter {
  std::string name;  // "layers.3.attention.qkv"
  std::vector<std::int64_t> shape;
  ParameterKind kind = ParameterKind::kDense;
  std::int64_t layer = -1;     // -1: before the layers (embedding) or behind them
  int tp_dim = -1;             // the dim cut over tp; -1: every tp rank has a copy
  std::int64_t tp_parts = 1;   // it is cut into at most so many parts; more tp ranks share them
  int ep_dim = -1;             // the dim cut over ep
  int etp_dim = -1;            // the dim cut over etp
  bool decays = true;          // by WeightDecayOn
  std::vector<InitPart> init;  // covers all elements, in order

  std::int64_t count() const;
};

// How many neighbouring tp ranks hold the same part of a dense parameter: tp when it is not cut, 1 when
// it is, and in between for the keys and values of fewer heads than tp ranks.
int tp_copies(const Parameter& parameter, int tp);

// Where a job calculates in bfloat16, the weights of matrices are rounded to it, but for the router's:
// norms and routers are small, and what they decide is not. They stay float32.
bool stays_exact(const Parameter& parameter);

// The part of a parameter that a rank holds: `count` elements from `start` on, in every dim. A cut dim
// is divided evenly; the rules of a Job see to it that this is possible.
struct ParameterPart {
  std::vector<std::int64_t> start, count;
};
ParameterPart part_of(const Parameter& parameter, const Layout& layout, Rank rank);

// The single truth about a model's parameters: initialisation, gradient reduction, ZeRO, checkpoints,
// import and export, and the norm for clipping walk this table; none has its own. In this order, with
// l = 0 ... L-1:
//
//   embedding                      [V, C]
//   layers.l.norm1                 [C]
//   lightning: layers.l.attention.qkv   [H, 3, d, C]    .gate [H d, C]   .norm [H d]   .out [C, H d]
//   softmax:   layers.l.attention.q     [H d, C]   .k [G d, C]   .v [G d, C]   .out [C, H d]
//   layers.l.norm2                 [C]
//   layers.l.router                [E, C]
//   layers.l.experts.w13           [E, 2, F, C]    w1 (gate) and w3 (up) of an expert
//   layers.l.experts.w2            [E, C, F]
//   final_norm                     [C]
//   head                           [V, C]
//
// Norms start as ones, the embedding with standard deviation 0.02, every matrix [out, in] Xavier-normal:
// std = gain sqrt(2 / (in + out)), with the DeepNorm gain (8 L)^(-1/4) for values, attention outputs and
// experts, and 1 for the rest.
//
// The sizes must keep the rules (recipes/rules/), which keep all products in range.
std::vector<Parameter> parameters(const ModelSpec& model, WeightDecayOn decay_on);

std::int64_t total_parameters(const ModelSpec& model);

// Those that work on one token: without the embedding and the head, k of E experts per layer.
std::int64_t active_parameters(const ModelSpec& model);

}  // namespace fulgur
