#include "orchestrator/run/training_run.hpp"

#include <fmt/format.h>

#include "cluster/exit_codes.hpp"
#include "cluster/wire/text.hpp"
#include "orchestrator/planner/phase_plans.hpp"
#include "orchestrator/run/attempt.hpp"
#include "orchestrator/run/journal.hpp"
#include "orchestrator/run/supervision.hpp"
#include "orchestrator/run/text_file.hpp"
#include "recipes/canonical.hpp"
#include "recipes/diagnostic.hpp"
#include "recipes/job_json.hpp"
#include "recipes/phases.hpp"
#include "runtime/checkpoint/inspect.hpp"
#include "runtime/checkpoint/reader.hpp"

namespace fulgur {
namespace {

std::string identity_text(const CheckpointInfo& checkpoint,
                          const std::vector<FieldDifference>& forbidden) {
  auto text = fmt::format("{}: its run had another recipe:\n", checkpoint.path.string());
  for (const auto& each : forbidden)
    text += fmt::format("  {}: {} then, {} now\n", each.field, each.a, each.b);
  return text + fmt::format(
                    "  use these values, another name, --resume never (which keeps what is there), "
                    "or allow it:\n  --allow-change {}",
                    forbidden.front().field);
}

// What differs from the checkpoint's recipe, for the eyes of who resumes.
void print_changes(const std::vector<FieldDifference>& changes) {
  for (const auto& each : changes)
    fmt::print("changed since ({}): {} was {}, is {}\n", resume_text(each.category), each.field,
               shortened(printable(each.a)), shortened(printable(each.b)));
}

// The newest checkpoint that is sound; damaged ones are told of.
std::optional<CheckpointInfo> newest_sound(const RunDirectory& directory) {
  std::vector<std::string> skipped;
  auto newest = newest_valid_checkpoint(directory.checkpoints(), skipped);
  for (const auto& each : skipped)
    fmt::print(stderr, "fulgur: passed over a damaged checkpoint: {}\n", each);
  if (newest || skipped.empty()) return newest;
  throw CheckpointError(
      CheckpointError::Kind::kInvalid,
      fmt::format("{}: no checkpoint is sound; --resume never starts afresh and keeps them",
                  directory.checkpoints().string()));
}

}  // namespace

std::optional<CheckpointInfo> find_start(const RunDirectory& directory, const Job& job) {
  auto newest = newest_sound(directory);
  if (!newest) return std::nullopt;
  const auto details = describe_checkpoint(newest->path);
  const auto now = launched_job(job, details.manifest.tokens);
  if (const auto forbidden = forbidden_differences(details.job, now); !forbidden.empty())
    throw IdentityError(identity_text(*newest, forbidden));
  print_changes(differences(details.job, now));
  return newest;
}

Job launched_job(const Job& job, std::int64_t tokens) {
  auto launched = job;
  launched.layout = layout_of_phase(job, phase_at(job, tokens));
  resolve_auto(launched, cluster_for(launched, ""));
  return launched;
}

namespace {

// The attempts of one run, one behind the other.
class Attempts {
 public:
  Attempts(const TrainingRun& run, RunDirectory& directory, std::optional<CheckpointInfo> start)
      : run_(run), directory_(directory), start_(std::move(start)) {
    rules_ = supervision_rules(launched_job(run.job, tokens()));
    if (run.measures) rules_.restarts = 0;
  }

  AttemptEnd to_the_end() {
    auto next = supervise({}, event::RunBegins{directory_.attempt()}, now(), rules_);
    while (next.action.kind == SupervisionAction::Kind::kStart) {
      if (const auto signal = pause_for(next.action.pause)) {
        end_.stop_signal = signal;
        end_.exit_code = kExitStopped;
        return end_;
      }
      next = attempt(std::move(next));
    }
    return end_;
  }

 private:
  static TimePoint now() { return std::chrono::steady_clock::now(); }

  std::int64_t tokens() const {
    return start_ ? describe_checkpoint(start_->path).manifest.tokens : 0;
  }

  Job job_of(const SupervisionAction& action) const {
    auto job = launched_job(run_.job, tokens());
    auto layout = rules_.layouts[action.layout];
    if (action.layout == 0) layout.dp = static_cast<int>(job.layout.dp);  // as its phase has it
    return job_on(job, layout, action.excluded);
  }

  // Runs the attempt that `begin` is about, and decides what comes behind it.
  Supervision attempt(Supervision begin) {
    auto launched = run_;
    launched.job = job_of(begin.action);
    directory_.begin_attempt();
    directory_.write("recipe.resolved.json", to_json(launched.job) + "\n");
    drop_steps_behind(directory_.metrics(), start_ ? start_->step : 0);
    Attempt attempt(launched, directory_, start_);
    const auto ended = attempt.run();
    auto next = supervise(std::move(begin.state), ended, now(), rules_);
    end_.steps += attempt.steps();
    end_.stop_signal = attempt.stop_signal();
    end_.exit_code = next.action.exit_code;
    const bool is_over = next.action.kind == SupervisionAction::Kind::kEnd;
    if (is_over) attempt.conclude(end_.exit_code);
    tell_verdict(attempt.verdict(),
                 is_over && ended.worth_repeating && rules_.restarts > 0 ? next.action.reason : "");
    if (!is_over) go_on(attempt, next.action);
    return next;
  }

  void tell_verdict(std::string verdict, const std::string& why_over) const {
    if (verdict.empty()) return;
    if (!why_over.empty()) verdict += "  " + why_over + "\n";
    directory_.write("verdict.txt", verdict);
    fmt::print(stderr, "{}", verdict);
  }

  void go_on(Attempt& attempt, const SupervisionAction& action) {
    remove_leftovers(directory_.checkpoints());
    start_ = newest_sound(directory_);
    if (attempt.verdict().empty()) return;
    attempt.tell("restart", fmt::format("{}: going on {}", action.reason,
                                        start_ ? fmt::format("from step {}", start_->step)
                                               : "from the beginning"));
  }

  const TrainingRun& run_;
  RunDirectory& directory_;
  std::optional<CheckpointInfo> start_;
  SupervisionRules rules_;
  AttemptEnd end_;
};

}  // namespace

AttemptEnd train_to_end(const TrainingRun& run, RunDirectory& directory,
                        std::optional<CheckpointInfo> start) {
  directory.write("recipe.yaml", text_of_file(run.recipe).value_or(""));
  return Attempts(run, directory, std::move(start)).to_the_end();
}

}  // namespace fulgur
