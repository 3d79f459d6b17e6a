#include "tests/recipes/pipeline/pipeline_checker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace fulgur::test {
namespace {

constexpr std::array kEnds = {PipeEnd::kActivationsIn, PipeEnd::kActivationsOut,
                              PipeEnd::kGradientsIn, PipeEnd::kGradientsOut};

using Index = std::size_t;

Index index(int number) {
  return static_cast<Index>(number);
}

bool is_backward(PassKind kind) {
  return kind == PassKind::kBackward || kind == PassKind::kBackwardInput;
}

std::string to_string(int stage, const Pass& pass) {
  constexpr std::array kNames = {"F", "B", "I", "W"};
  return fmt::format("stage {}: {}{}.{}", stage, kNames[index(static_cast<int>(pass.kind))],
                     pass.micro_batch, pass.virtual_stage);
}

std::vector<PassKind> kinds_of(PipelineSchedule schedule) {
  if (schedule != PipelineSchedule::kZeroBubble) return {PassKind::kForward, PassKind::kBackward};
  return {PassKind::kForward, PassKind::kBackwardInput, PassKind::kBackwardWeight};
}

// Every pass once; each after the pass before it on the same micro-batch; micro-batches in order.
std::string problem_of_stage(const PipelineShape& shape, int stage,
                             const std::vector<Pass>& passes) {
  const auto kinds = kinds_of(shape.schedule);
  std::map<std::tuple<PassKind, int>, int> next;  // (kind, virtual stage): micro-batch
  for (const auto& pass : passes) {
    const auto kind = std::find(kinds.begin(), kinds.end(), pass.kind);
    if (kind == kinds.end() || pass.virtual_stage < 0 ||
        pass.virtual_stage >= shape.virtual_stages || pass.micro_batch < 0 ||
        pass.micro_batch >= shape.micro_batches)
      return to_string(stage, pass) + " does not exist";
    if (next[{pass.kind, pass.virtual_stage}]++ != pass.micro_batch)
      return to_string(stage, pass) + " is not the next micro-batch";
    if (kind != kinds.begin() && next[{*(kind - 1), pass.virtual_stage}] <= pass.micro_batch)
      return to_string(stage, pass) + " comes before what it needs of its own stage";
  }
  const auto expected = kinds.size() * index(shape.virtual_stages) * index(shape.micro_batches);
  if (passes.size() == expected) return "";
  return fmt::format("stage {}: {} passes instead of {}", stage, passes.size(), expected);
}

int most_in_flight(const PipelineShape& shape, const std::vector<Pass>& passes) {
  int now = 0, most = 0;
  for (const auto& pass : passes) {
    if (pass.kind == PassKind::kForward) most = std::max(most, ++now);
    if (pass.kind == kinds_of(shape.schedule).back()) --now;
  }
  return most;
}

// Lets the passes run, each as soon as it can.
class Simulation {
 public:
  Simulation(const PipelineProgram& program, const Buffers& buffers)
      : program_(program), buffers_(buffers), ends_(program.passes.size()) {
    for (Index stage = 0; stage < program.passes.size(); ++stage) {
      incoming_.emplace_back(program.passes[stage].size());
      outgoing_.emplace_back(program.passes[stage].size());
      for (const auto end : kEnds) {
        const bool in = end == PipeEnd::kActivationsIn || end == PipeEnd::kGradientsIn;
        auto& links = in ? incoming_[stage] : outgoing_[stage];
        const auto& messages = program.messages[stage][static_cast<Index>(end)];
        for (Index number = 0; number < messages.size(); ++number)
          links.at(messages[number].pass) = Link{end, number};
      }
    }
  }

  // Every message that a pass needs, and no other, must come, as the pipes deliver them.
  std::string problem_of_messages() const {
    for (int stage = 0; stage < program_.shape.stages; ++stage) {
      const auto& passes = program_.passes[index(stage)];
      for (Index i = 0; i < passes.size(); ++i) {
        const auto needed = piece_needed(stage, passes[i]);
        const auto& link = incoming_[index(stage)][i];
        if (!needed && !link) continue;
        if (!needed) return to_string(stage, passes[i]) + " waits for a message it does not need";
        if (!link) return to_string(stage, passes[i]) + " lacks a message";
        const auto [other, pass] = sender(stage, *link);
        if (!pass) return to_string(stage, passes[i]) + " waits for a message that nobody sends";
        const auto& sent = program_.passes[index(other)][*pass];
        const bool forward = passes[i].kind == PassKind::kForward;
        if (sent.micro_batch != passes[i].micro_batch || piece(other, sent) != *needed ||
            (forward ? sent.kind != PassKind::kForward : !is_backward(sent.kind)))
          return fmt::format("{} receives what {} sends", to_string(stage, passes[i]),
                             to_string(other, sent));
      }
      for (const auto end : kEnds) {
        const auto& here = messages(stage, end);
        const auto& there = messages(peer_stage(program_.shape, stage, end), opposite(end));
        if (here.size() != there.size())
          return fmt::format("stage {}: a pipe with loose ends", stage);
        for (Index i = 0; i < here.size(); ++i) {
          if (here[i].micro_batch != there[i].micro_batch || here[i].piece != there[i].piece)
            return fmt::format("stage {}: message {} of a pipe has two names", stage, i);
        }
      }
    }
    return "";
  }

  // Returns what waits for ever; the empty text when nothing does.
  std::string run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (int stage = 0; stage < program_.shape.stages; ++stage) {
        while (step(stage))
          moved = true;
      }
    }
    for (int stage = 0; stage < program_.shape.stages; ++stage) {
      const auto done = ends_[index(stage)].size();
      if (done < program_.passes[index(stage)].size())
        return to_string(stage, program_.passes[index(stage)][done]) + " waits for ever";
    }
    return "";
  }

  std::int64_t makespan() const {
    std::int64_t last = 0;
    for (const auto& ends : ends_)
      last = std::max(last, ends.empty() ? 0 : ends.back());
    return last;
  }

 private:
  struct Link {
    PipeEnd end;
    Index number;  // of the message in its pipe
  };

  int piece(int stage, const Pass& pass) const {
    return pass.virtual_stage * program_.shape.stages + stage;
  }

  const std::vector<Message>& messages(int stage, PipeEnd end) const {
    return program_.messages[index(stage)][static_cast<Index>(end)];
  }

  static PipeEnd opposite(PipeEnd end) {
    switch (end) {
      case PipeEnd::kActivationsIn:
        return PipeEnd::kActivationsOut;
      case PipeEnd::kActivationsOut:
        return PipeEnd::kActivationsIn;
      case PipeEnd::kGradientsIn:
        return PipeEnd::kGradientsOut;
      case PipeEnd::kGradientsOut:
        return PipeEnd::kGradientsIn;
    }
    return end;
  }

  // The piece of another stage whose result a pass needs.
  std::optional<int> piece_needed(int stage, const Pass& pass) const {
    const int own = piece(stage, pass);
    const bool forward = pass.kind == PassKind::kForward;
    if (program_.shape.stages == 1 || pass.kind == PassKind::kBackwardWeight) return std::nullopt;
    if (forward ? own == 0 : own == program_.shape.pieces() - 1) return std::nullopt;
    return forward ? own - 1 : own + 1;
  }

  // The pass that sends the message of an end that takes in.
  std::pair<int, std::optional<Index>> sender(int stage, const Link& link) const {
    const int other = peer_stage(program_.shape, stage, link.end);
    const auto& sent = messages(other, opposite(link.end));
    if (link.number >= sent.size()) return {other, std::nullopt};
    return {other, sent[link.number].pass};
  }

  std::optional<std::int64_t> end_of(int stage, Index pass) const {
    const auto& ends = ends_[index(stage)];
    if (pass >= ends.size()) return std::nullopt;
    return ends[pass];
  }

  // With one stage the pieces hand on their results themselves.
  std::optional<std::int64_t> own_input(int stage, const Pass& pass) const {
    if (program_.shape.stages > 1 || pass.kind == PassKind::kBackwardWeight) return 0;
    const bool forward = pass.kind == PassKind::kForward;
    const int wanted = pass.virtual_stage + (forward ? -1 : 1);
    if (wanted < 0 || wanted >= program_.shape.virtual_stages) return 0;
    const auto& passes = program_.passes[index(stage)];
    for (Index i = 0; i < ends_[index(stage)].size(); ++i) {
      const bool same_way = (passes[i].kind == PassKind::kForward) == forward &&
                            passes[i].kind != PassKind::kBackwardWeight;
      if (same_way && passes[i].virtual_stage == wanted &&
          passes[i].micro_batch == pass.micro_batch)
        return ends_[index(stage)][i];
    }
    return std::nullopt;
  }

  // When message `number` of a pipe, which leaves `stage` at `end`, has moved to the receiver.
  std::optional<std::int64_t> moved(int stage, PipeEnd end, Index number) const {
    const int other = peer_stage(program_.shape, stage, end);
    const auto& received = messages(other, opposite(end));
    const auto made = end_of(stage, messages(stage, end)[number].pass);
    const auto buffers = index(buffers_.receive);
    const auto free = number < buffers ? std::optional<std::int64_t>(0)
                                       : end_of(other, received[number - buffers].pass);
    if (!made || !free) return std::nullopt;
    return std::max(*made, *free);
  }

  // Does the next pass of a stage, if it can begin.
  bool step(int stage) {
    auto& ends = ends_[index(stage)];
    const auto& passes = program_.passes[index(stage)];
    if (ends.size() == passes.size()) return false;
    const Index next = ends.size();
    std::vector<std::optional<std::int64_t>> awaited = {next == 0 ? 0 : ends.back(),
                                                        own_input(stage, passes[next])};
    if (const auto& link = incoming_[index(stage)][next]) {
      const int other = peer_stage(program_.shape, stage, link->end);
      awaited.push_back(moved(other, opposite(link->end), link->number));
    }
    const auto& out = outgoing_[index(stage)][next];
    if (out && out->number >= index(buffers_.send))
      awaited.push_back(moved(stage, out->end, out->number - index(buffers_.send)));
    std::int64_t begin = 0;
    for (const auto& time : awaited) {
      if (!time) return false;
      begin = std::max(begin, *time);
    }
    ends.push_back(begin + (passes[next].kind == PassKind::kBackward ? 2 : 1));
    return true;
  }

  const PipelineProgram& program_;
  Buffers buffers_;
  std::vector<std::vector<std::int64_t>> ends_;             // [stages][passes done]
  std::vector<std::vector<std::optional<Link>>> incoming_;  // [stages][passes]
  std::vector<std::vector<std::optional<Link>>> outgoing_;  // [stages][passes]
};

}  // namespace

PipelineProgram program_of(const PipelineShape& shape) {
  PipelineProgram program{shape, {}, {}};
  for (int stage = 0; stage < shape.stages; ++stage) {
    program.passes.push_back(pipeline_schedule(shape, stage));
    auto& ends = program.messages.emplace_back();
    for (const auto end : kEnds)
      ends.push_back(pipe_messages(shape, stage, program.passes.back(), end));
  }
  return program;
}

std::vector<PipelineShape> grid_of(PipelineSchedule schedule) {
  const bool interleaved = schedule == PipelineSchedule::kInterleaved;
  std::vector<PipelineShape> shapes;
  for (int stages = 1; stages <= 8; ++stages) {
    for (int pieces = interleaved ? 2 : 1; pieces <= (interleaved ? 4 : 1); ++pieces) {
      for (int micro_batches = 1; micro_batches <= 24; ++micro_batches)
        shapes.push_back({schedule, stages, pieces, micro_batches});
    }
  }
  return shapes;
}

std::string to_string(const PipelineShape& shape) {
  return fmt::format("schedule {}, {} stages, {} virtual stages, {} micro-batches",
                     static_cast<int>(shape.schedule), shape.stages, shape.virtual_stages,
                     shape.micro_batches);
}

Verdict check(const PipelineProgram& program, const Buffers& buffers) {
  Verdict verdict;
  for (int stage = 0; stage < program.shape.stages; ++stage) {
    const auto& passes = program.passes[index(stage)];
    if (verdict.problem.empty()) verdict.problem = problem_of_stage(program.shape, stage, passes);
    verdict.most_in_flight.push_back(most_in_flight(program.shape, passes));
  }
  if (!verdict.problem.empty()) return verdict;
  Simulation simulation(program, buffers);
  verdict.problem = simulation.problem_of_messages();
  if (verdict.problem.empty()) verdict.problem = simulation.run();
  verdict.makespan = simulation.makespan();
  return verdict;
}

}  // namespace fulgur::test
