#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

using std::int64_t;

std::string product_text(const Layout& layout) {
  return fmt::format("dp {} x cp {} x tp {}", layout.dp, layout.cp, layout.tp);
}

std::optional<Finding> ranks_can_be_counted(const Job& job) {
  constexpr double kMost = std::numeric_limits<int>::max();
  const auto& l = job.layout;
  const double world = static_cast<double>(l.pp) * l.dp * l.cp * l.tp;
  if (world <= kMost) return std::nullopt;
  return Finding{"E0261",
                 fmt::format("pp {} x {} = {:.1e} ranks are too many to be counted", l.pp,
                             product_text(l), world),
                 fmt::format("pp x dp x cp x tp: at most {:.0f}", kMost)};
}

std::optional<Finding> meshes_fit_each_other(const Job& job) {
  const auto& l = job.layout;
  const int64_t dense = int64_t{l.dp} * l.cp * l.tp, expert = int64_t{l.ep} * l.etp;
  if (dense % expert == 0) return std::nullopt;
  return Finding{
      "E0262",
      fmt::format("ep {} x etp {} = {} does not divide {} = {}: the experts of a stage lie on the "
                  "same ranks as the rest of it",
                  l.ep, l.etp, expert, product_text(l), dense),
      fmt::format("nearest ep x etp: {}; nearest dp x cp x tp: {}", nearest_divisors(dense, expert),
                  nearest_multiples(expert, dense))};
}

// `ranks` along an axis must divide `whole`, so that every rank has as many.
std::optional<Finding> divides(const char* code, const char* axis, int64_t ranks, const char* what,
                               int64_t whole) {
  if (whole % ranks == 0) return std::nullopt;
  return Finding{code,
                 fmt::format("{} {} does not divide {} {}: every rank needs as many", axis, ranks,
                             what, whole),
                 fmt::format("nearest {}: {}; nearest {}: {}", axis, nearest_divisors(whole, ranks),
                             what, nearest_multiples(ranks, whole))};
}

std::optional<Finding> tp_divides_heads(const Job& job) {
  return divides("E0263", "tp", job.layout.tp, "heads", job.model.heads);
}

std::optional<Finding> tp_divides_vocabulary(const Job& job) {
  return divides("E0264", "tp", job.layout.tp, "vocabulary", job.model.vocabulary);
}

std::optional<Finding> tp_cuts_or_copies_kv_heads(const Job& job) {
  const int64_t tp = job.layout.tp, kv_heads = job.model.kv_heads;
  const auto fits = [kv_heads](int64_t ranks) {
    return kv_heads % ranks == 0 || ranks % kv_heads == 0;
  };
  if (fits(tp)) return std::nullopt;
  auto below = tp, above = tp;
  while (!fits(below))
    --below;
  while (!fits(above))
    ++above;
  return Finding{"E0265",
                 fmt::format("tp {} and kv_heads {}: neither divides the other, so that key and "
                             "value heads can be neither cut nor copied evenly",
                             tp, kv_heads),
                 fmt::format("nearest tp: {} or {}", below, above)};
}

std::optional<Finding> ep_divides_experts(const Job& job) {
  return divides("E0266", "ep", job.layout.ep, "experts", job.model.experts);
}

std::optional<Finding> etp_divides_expert_hidden(const Job& job) {
  return divides("E0267", "etp", job.layout.etp, "expert_hidden", job.model.expert_hidden);
}

// Tokens of a sequence on the cp rank that has fewest.
int64_t fewest_tokens(const Job& job) {
  const int64_t length = job.train.sequence_length, cp = job.layout.cp;
  const bool zigzag = job.context.order == ContextOrder::kZigzag;
  const int64_t chunks = zigzag ? 2 * cp : cp;
  const auto chunk = [&](int64_t c) { return (c + 1) * length / chunks - c * length / chunks; };
  auto fewest = length;
  for (int64_t rank = 0; rank < cp; ++rank)
    fewest = std::min(fewest, chunk(rank) + (zigzag ? chunk(chunks - 1 - rank) : 0));
  return fewest;
}

std::optional<Finding> every_chunk_has_a_token(const Job& job) {
  const int64_t length = job.train.sequence_length, cp = job.layout.cp;
  const bool zigzag = job.context.order == ContextOrder::kZigzag;
  const int64_t chunks = zigzag ? 2 * cp : cp;
  if (cp == 1 || length >= chunks) return std::nullopt;
  const auto most = std::max<int64_t>(zigzag ? length / 2 : length, 1);
  return Finding{
      "E0268",
      fmt::format("cp {} in {} order cuts a sequence into {} chunks, but it has {} tokens: every "
                  "chunk needs at least one",
                  cp, zigzag ? "zigzag" : "contiguous", chunks, length),
      fmt::format("sequence_length: {} or more; cp: at most {}{}", chunks, most,
                  zigzag && length >= cp ? "; or context.order: contiguous" : "")};
}

std::optional<Finding> every_tp_rank_has_a_row(const Job& job) {
  const int64_t tp = job.layout.tp, dp = job.layout.dp, cp = job.layout.cp;
  if (job.train.micro_batch % dp != 0 || job.train.sequence_length < cp)
    return std::nullopt;  // has a finding of its own
  const auto rows = job.train.micro_batch / dp * fewest_tokens(job);
  if (rows >= tp) return std::nullopt;
  return Finding{"E0269",
                 fmt::format("tp {} cuts the tokens of a rank between blocks, but one has only {} "
                             "of a micro-batch: every tp rank needs at least one",
                             tp, rows),
                 fmt::format("tp: at most {}, or larger micro_batch or sequence_length, or smaller "
                             "dp or cp",
                             std::max<int64_t>(rows, 1))};
}

}  // namespace

std::span<const Rule> layout_rules() {
  static const std::vector<Rule> kRules = {
      {{"layout.pp", "layout.dp", "layout.cp", "layout.tp"}, ranks_can_be_counted},
      {{"layout.ep", "layout.etp", "layout.dp", "layout.cp", "layout.tp"}, meshes_fit_each_other},
      {{"layout.tp", "model.heads"}, tp_divides_heads},
      {{"layout.tp", "model.vocabulary"}, tp_divides_vocabulary},
      {{"layout.tp", "model.kv_heads"}, tp_cuts_or_copies_kv_heads},
      {{"layout.ep", "model.experts"}, ep_divides_experts},
      {{"layout.etp", "model.expert_hidden"}, etp_divides_expert_hidden},
      {{"layout.cp", "train.sequence_length", "context.order"}, every_chunk_has_a_token},
      {{"layout.tp", "layout.dp", "layout.cp", "train.micro_batch", "train.sequence_length",
        "context.order"},
       every_tp_rank_has_a_row},
  };
  return kRules;
}

}  // namespace fulgur
