#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/planner/svg_text.hpp"
#include "orchestrator/run/progress.hpp"
#include "orchestrator/sweep/report.hpp"

namespace fulgur {
namespace {

constexpr double kWidth = 720, kHeight = 440, kLeft = 90, kBottom = 60, kTop = 40, kRight = 30;

// From 0 to the largest value, with some air.
struct Axis {
  double most, begin, end;

  double at(double value) const { return begin + (end - begin) * value / (1.08 * most); }
};

std::string label(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     text);
}

std::string ticks(const Axis& x, const Axis& y) {
  std::string text;
  for (int i = 0; i <= 4; ++i) {
    const double memory = x.most * i / 4, speed = y.most * i / 4;
    text +=
        label(x.at(memory), y.begin + 20, "middle", fmt::format("{:.2f} GiB", memory / (1 << 30)));
    text += label(x.begin - 8, y.at(speed) + 4, "end", short_number(speed));
    text += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{2:.1f}\" y2=\"{1:.1f}\" stroke=\"#dddddd\"/>\n",
        x.begin, y.at(speed), x.end);
  }
  return text;
}

}  // namespace

std::string pareto_svg(const std::vector<Trial>& sorted) {
  std::vector<const Trial*> points;
  Axis x{1, kLeft, kWidth - kRight}, y{1, kHeight - kBottom, kTop};
  for (const auto& each : sorted) {
    if (!each.seconds_per_token) continue;
    points.push_back(&each);
    x.most = std::max(x.most, each.memory);
    y.most = std::max(y.most, each.tokens_per_rank());
  }
  auto text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      kWidth, kHeight);
  text +=
      label(kWidth / 2, 20, "middle", "tokens a rank and second over memory of the fullest rank");
  text += ticks(x, y);
  // Fastest first, so a trial is on the front when it takes less memory than all before it.
  std::string front;
  double least = 0;
  for (const auto* each : points) {
    const double cx = x.at(each->memory), cy = y.at(each->tokens_per_rank());
    const bool best = front.empty() || each->memory < least;
    if (best) {
      front += fmt::format("{}{:.1f},{:.1f}", front.empty() ? "" : " ", cx, cy);
      least = each->memory;
    }
    text += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" fill=\"{}\"><title>{}</title></circle>\n", cx,
        cy, best ? "#d1495b" : "#30638e", escaped(to_string(each->candidate->arguments)));
  }
  text += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"#d1495b\"/>\n", front);
  return text + "</svg>\n";
}

}  // namespace fulgur
