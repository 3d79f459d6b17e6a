#include "orchestrator/sweep/candidates.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>

#include "orchestrator/planner/phase_plans.hpp"
#include "orchestrator/sweep/conditions.hpp"
#include "orchestrator/sweep/layouts.hpp"
#include "recipes/cost/model_state.hpp"
#include "recipes/layout.hpp"
#include "recipes/pipeline_layers.hpp"

namespace fulgur {
namespace {

std::string join(const SweepPoint& arguments) {
  return fmt::format("{}", fmt::join(arguments, " "));
}

// All combinations of the axes, the last one fastest.
std::vector<SweepPoint> combinations(const std::vector<SweepAxis>& axes) {
  std::vector<SweepPoint> result{{}};
  for (const auto& axis : axes) {
    std::vector<SweepPoint> longer;
    longer.reserve(result.size() * axis.points.size());
    for (const auto& begin : result) {
      for (const auto& point : axis.points) {
        auto whole = begin;
        whole.insert(whole.end(), point.begin(), point.end());
        longer.push_back(std::move(whole));
      }
    }
    result = std::move(longer);
  }
  return result;
}

bool sets(const SweepSection& sweep, std::string_view field) {
  return std::any_of(sweep.axes.begin(), sweep.axes.end(), [&](const SweepAxis& axis) {
    return std::find(axis.fields.begin(), axis.fields.end(), field) != axis.fields.end();
  });
}

// The arguments that turn one layout into another.
SweepPoint layout_arguments(const Layout& from, const Layout& to) {
  SweepPoint arguments;
  const auto add = [&](const char* axis, int before, int now) {
    if (before != now) arguments.push_back(fmt::format("layout.{}={}", axis, now));
  };
  add("pp", from.pp, to.pp);
  add("dp", from.dp, to.dp);
  add("cp", from.cp, to.cp);
  add("tp", from.tp, to.tp);
  add("ep", from.ep, to.ep);
  add("etp", from.etp, to.etp);
  return arguments;
}

class Planner {
 public:
  Planner(const SweepSection& sweep, const std::string& cluster, const Assumptions& assumptions)
      : sweep_(sweep), cluster_name_(cluster), assumptions_(assumptions) {}

  // One combination of the axes.
  void add(const SweepPoint& arguments, const Job& job) {
    const auto cluster = cluster_for(job, cluster_name_);
    if (!sweep_.layouts) return consider(arguments, job, cluster);
    for (const auto& layout : layouts_of(world_size(job.layout))) {
      auto changed = job;
      changed.layout = layout;
      auto all = arguments;
      const auto moved = layout_arguments(job.layout, layout);
      all.insert(all.end(), moved.begin(), moved.end());
      if (!sets(sweep_, "train.micro_batch")) scale_micro_batch(changed, job, all);
      consider(all, std::move(changed), cluster);
    }
  }

  void reject(const std::string& reason, const SweepPoint& arguments, const std::string& message) {
    ++plan_.combinations;
    count(reason, arguments, message);
  }

  SweepPlan take() {
    std::stable_sort(plan_.candidates.begin(), plan_.candidates.end(),
                     [](const Candidate& a, const Candidate& b) {
                       return a.tokens_per_rank() > b.tokens_per_rank();
                     });
    drop_slow();
    return std::move(plan_);
  }

 private:
  static void scale_micro_batch(Job& changed, const Job& job, SweepPoint& arguments) {
    const auto sequences = std::max<std::int64_t>(1, job.train.micro_batch / job.layout.dp);
    changed.train.micro_batch = sequences * changed.layout.dp;
    if (changed.train.micro_batch != job.train.micro_batch)
      arguments.push_back(fmt::format("train.micro_batch={}", changed.train.micro_batch));
  }

  void count(const std::string& reason, const SweepPoint& arguments, const std::string& message) {
    const auto found = std::find_if(plan_.rejected.begin(), plan_.rejected.end(),
                                    [&](const Rejection& each) { return each.reason == reason; });
    if (found != plan_.rejected.end()) {
      ++found->count;
      return;
    }
    plan_.rejected.push_back(
        {.reason = reason, .count = 1, .example = to_string(arguments), .message = message});
  }

  void consider(const SweepPoint& arguments, Job job, const Cluster& cluster) {
    ++plan_.combinations;
    if (const auto broken = violations(job); !broken.empty())
      return count(broken.front().code, arguments, broken.front().message);
    if (is_excluded(sweep_.exclude, job)) return count("excluded", arguments, "sweep.exclude");
    if (const auto* failed = first_failed(sweep_.where, job, nullptr))
      return count("where " + failed->text, arguments, failed->text);
    if (const auto problems = cluster_problems(job, cluster); !problems.empty())
      return count(problems.front().code, arguments, problems.front().message);
    // Cut once for all layouts with as many pieces, which takes longer than the rest of a plan.
    auto planned = job;
    planned.pipeline.layers = layers_of(job);
    if (const auto text = why_too_large(planned, cluster)) return count("E0293", arguments, *text);
    predict(arguments, std::move(job), std::move(planned), cluster);
  }

  // The axes may change what a layer costs: then the cut is a new one.
  const std::vector<std::int64_t>& layers_of(const Job& job) {
    if (!(job.model == cut_.model && job.train.sequence_length == cut_.train.sequence_length &&
          job.pipeline == cut_.pipeline)) {
      cuts_.clear();
      cut_ = job;
    }
    auto& layers = cuts_[job.layout.pp];
    if (layers.empty()) layers = layers_per_piece(job);
    return layers;
  }

  // What never fits is found by the model's state alone, which is quick to count.
  std::optional<std::string> why_too_large(const Job& job, const Cluster& cluster) const {
    const auto hardware = shared_by(cluster, world_size(job.layout)).hardware;
    const auto states = model_states(job);
    for (int stage = 0; stage < job.layout.pp; ++stage) {
      const auto& state = states[static_cast<std::size_t>(stage)];
      double bytes = state.total();
      if (bytes <= hardware.memory)
        bytes = stage_memory(job, hardware, state, stage, assumptions_.imbalance).total();
      if (bytes > hardware.memory) {
        return fmt::format(
            "a rank of stage {} would hold {:.1f} GiB or more, and a device has {:.1f}", stage,
            bytes / (1 << 30), hardware.memory / (1 << 30));
      }
    }
    return std::nullopt;
  }

  void predict(const SweepPoint& arguments, Job job, Job planned, const Cluster& cluster) {
    resolve_auto(planned, cluster, assumptions_);
    job.experts = planned.experts;
    const auto plan = make_plan(planned, cluster, assumptions_);
    Candidate candidate{.arguments = arguments,
                        .job = std::move(job),
                        .step_seconds = plan.step_seconds,
                        .tokens_per_second = plan.tokens_per_second,
                        .mfu = plan.mfu,
                        .bubble = plan.bubble,
                        .memory = plan.fullest_bytes(),
                        .mean_memory = plan.mean_bytes()};
    if (const auto* failed = first_failed(sweep_.where, candidate.job, &candidate))
      return count("where " + failed->text, arguments, failed->text);
    plan_.candidates.push_back(std::move(candidate));
  }

  void drop_slow() {
    if (plan_.candidates.empty()) return;
    const double best = plan_.candidates.front().tokens_per_rank();
    const auto slow = std::find_if(
        plan_.candidates.begin(), plan_.candidates.end(),
        [&](const Candidate& each) { return each.tokens_per_rank() * sweep_.slower < best; });
    for (auto each = slow; each != plan_.candidates.end(); ++each)
      count("slower", each->arguments,
            fmt::format("predicted to be more than {:g} times slower than the fastest",
                        sweep_.slower));
    plan_.candidates.erase(slow, plan_.candidates.end());
  }

  const SweepSection& sweep_;
  const std::string& cluster_name_;
  const Assumptions& assumptions_;
  SweepPlan plan_;
  Job cut_;                                        // whose layers cuts_ has
  std::map<int, std::vector<std::int64_t>> cuts_;  // by pp
};

}  // namespace

int Candidate::world() const {
  return world_size(job.layout);
}

double Candidate::tokens_per_rank() const {
  return tokens_per_second / world();
}

std::string to_string(const SweepPoint& arguments) {
  return arguments.empty() ? "the recipe as it is" : join(arguments);
}

SweepPlan plan_sweep(const std::filesystem::path& recipe, const std::vector<std::string>& overrides,
                     const std::string& cluster, const Assumptions& assumptions, DataFiles data) {
  const auto base = load_recipe(recipe, overrides, data);
  if (!base.sweep) {
    throw RecipeError({{"E0135",
                        fmt::format("{} has no section `sweep`", recipe.string()),
                        {},
                        "",
                        "give one, or on the command line: sweep.layout=auto"}});
  }
  Planner planner(*base.sweep, cluster, assumptions);
  for (const auto& point : combinations(base.sweep->axes)) {
    if (point.empty()) {
      planner.add(point, base.job);
      continue;
    }
    auto arguments = overrides;
    arguments.insert(arguments.end(), point.begin(), point.end());
    try {
      planner.add(point, load_recipe(recipe, arguments, data).job);
    } catch (const RecipeError& error) {
      const auto& first = error.diagnostics().front();
      planner.reject(first.code, point, first.message);
    }
  }
  auto plan = planner.take();
  plan.section = *base.sweep;
  plan.run_directory = base.job.run_directory;
  return plan;
}

}  // namespace fulgur
