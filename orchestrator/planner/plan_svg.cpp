#include "orchestrator/planner/plan_svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "orchestrator/planner/plan_text.hpp"
#include "orchestrator/planner/svg_text.hpp"
#include "recipes/layout.hpp"

namespace fulgur {
namespace {

constexpr int kLeft = 80, kTop = 90, kRow = 30, kBox = 12;
constexpr int kMemoryWidth = 260, kTimeWidth = 260, kGap = 40;

struct Piece {
  std::string_view what, colour;
  double size;
};

std::string rectangle(double x, double y, double width, double height, std::string_view colour,
                      std::string_view title) {
  return fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\">"
      "<title>{}</title></rect>\n",
      x, y, std::max(width, 0.0), height, colour, escaped(title));
}

std::string label(double x, double y, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x, y, escaped(text));
}

std::string_view colour_of(char layer) {
  if (layer == 'l') return "#4c9f70";
  if (layer == 'S') return "#d1495b";
  return "#30638e";  // embedding and head
}

std::string stacked(double x, double y, double scale, const std::vector<Piece>& pieces) {
  std::string text;
  for (const auto& piece : pieces) {
    const double width = piece.size * scale;
    text += rectangle(x, y, width, kRow - 8, piece.colour, piece.what);
    x += width;
  }
  return text;
}

std::vector<Piece> memory_pieces(const StageMemory& memory) {
  return {{"weights", "#30638e", memory.state.weights},
          {"gradients", "#5b8fb9", memory.state.gradients},
          {"optimizer", "#9dbad5", memory.state.optimizer + memory.state.reduced},
          {"activations", "#edae49", memory.activations},
          {"communicators and libraries", "#999999", memory.communicators + memory.reserved}};
}

std::vector<Piece> time_pieces(const StageTime& time) {
  const auto& work = time.work;
  return {{"products", "#30638e", work[Part::kProducts] + work[Part::kExperts]},
          {"attention", "#4c9f70", work[Part::kSoftmax] + work[Part::kLightning]},
          {"memory-bound work", "#edae49", work[Part::kMemory]},
          {"communication", "#d1495b",
           work[Part::kTp] + work[Part::kCpWait] + work[Part::kEpWait] + time.reduction +
               time.gathering},
          {"optimizer", "#9dbad5", time.optimizer},
          {"waits for other stages", "#dddddd", time.bubble}};
}

std::string legend(double x, const std::vector<Piece>& pieces) {
  std::string text;
  double y = 34;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const double at = x + static_cast<double>(i % 2) * 140;
    text += rectangle(at, y - 9, 10, 10, pieces[i].colour, pieces[i].what);
    text += label(at + 14, y, pieces[i].what);
    if (i % 2 == 1) y += 15;
  }
  return text;
}

}  // namespace

std::string plan_svg(const PlannedPhase& phase, const Cluster& cluster) {
  const auto& plan = phase.plan;
  std::size_t most_layers = 0;
  for (int s = 0; s < phase.job.layout.pp; ++s)
    most_layers = std::max(most_layers, layer_letters(phase.job, s).size());
  const double memory_x = kLeft + static_cast<double>(most_layers) * kBox + kGap;
  const double time_x = memory_x + kMemoryWidth + kGap;
  const double height = kTop + static_cast<double>(plan.stages.size()) * kRow + 30;
  const double most_memory = std::max(plan.device_bytes, plan.fullest_bytes());
  auto svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0f}\" height=\"{:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n",
      time_x + kTimeWidth + kGap, height);
  svg += label(10, 16,
               fmt::format("{} on {} x {}: {}, {:.1f} % MFU", phase.job.name, cluster.devices,
                           cluster.hardware.name, to_string(phase.job.layout), 100 * plan.mfu));
  svg += legend(memory_x, memory_pieces(plan.stages.front().fullest));
  svg += legend(time_x, time_pieces(plan.stages.front().time));
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const double y = kTop + static_cast<double>(s) * kRow;
    svg += label(10, y + 15, fmt::format("stage {}", s));
    double x = kLeft;
    for (const char layer : layer_letters(phase.job, static_cast<int>(s))) {
      if (layer != ' ') {
        svg += rectangle(x, y, kBox - 2, kRow - 8, colour_of(layer), std::string(1, layer));
      }
      x += kBox;
    }
    svg += stacked(memory_x, y, kMemoryWidth / most_memory, memory_pieces(plan.stages[s].fullest));
    svg += stacked(time_x, y, kTimeWidth / plan.step_seconds, time_pieces(plan.stages[s].time));
  }
  const double limit = memory_x + kMemoryWidth * plan.device_bytes / most_memory;
  svg += rectangle(limit, kTop - 6, 2, height - kTop - 20, "#000000", "the device's memory");
  return svg + "</svg>\n";
}

}  // namespace fulgur
