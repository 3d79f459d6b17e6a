#include "recipes/layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <stdexcept>
#include <utility>

namespace fulgur {
namespace {

struct Axis {
  std::string_view name;
  int Layout::*size;
};

constexpr std::array<Axis, 6> kAxes = {{{"pp", &Layout::pp},
                                        {"dp", &Layout::dp},
                                        {"cp", &Layout::cp},
                                        {"tp", &Layout::tp},
                                        {"ep", &Layout::ep},
                                        {"etp", &Layout::etp}}};

int product(std::initializer_list<int> sizes) {
  int result = 1;
  for (const int size : sizes) {
    if (size < 1 || __builtin_mul_overflow(result, size, &result))
      throw std::invalid_argument("the sizes of a layout must be positive, their product an int");
  }
  return result;
}

void check_rank(Rank rank, const Layout& layout) {
  const int world = world_size(layout);
  if (rank.value() < 0 || rank.value() >= world) {
    throw std::out_of_range(fmt::format("rank {} is not in a world of {} ({})", rank.value(), world,
                                        to_string(layout)));
  }
}

// Takes the coordinate along an axis of this size, the fastest that is left, off `rank`.
int take(int& rank, int size) {
  const int coordinate = rank % size;
  rank /= size;
  return coordinate;
}

}  // namespace

int world_size(const Layout& layout) {
  return product({layout.pp, layout.dp, layout.cp, layout.tp});
}

int edp(const Layout& layout) {
  const int dense = product({layout.dp, layout.cp, layout.tp});
  const int expert = product({layout.ep, layout.etp});
  if (dense % expert != 0) {
    throw std::invalid_argument(
        fmt::format("ep {} x etp {} = {} does not divide dp {} x cp {} x tp {} = {}", layout.ep,
                    layout.etp, expert, layout.dp, layout.cp, layout.tp, dense));
  }
  return dense / expert;
}

DenseCoordinate dense_coordinate(Rank rank, const Layout& layout) {
  check_rank(rank, layout);
  int rest = rank.value();
  DenseCoordinate at;
  at.tp = take(rest, layout.tp);
  at.cp = take(rest, layout.cp);
  at.dp = take(rest, layout.dp);
  at.pp = rest;
  return at;
}

ExpertCoordinate expert_coordinate(Rank rank, const Layout& layout) {
  check_rank(rank, layout);
  int rest = rank.value();
  ExpertCoordinate at;
  at.etp = take(rest, layout.etp);
  at.ep = take(rest, layout.ep);
  at.edp = take(rest, edp(layout));
  at.pp = rest;
  return at;
}

std::string to_string(const Layout& layout) {
  std::string text;
  for (const auto& axis : kAxes) {
    if (layout.*axis.size == 1) continue;
    fmt::format_to(std::back_inserter(text), "{}{}={}", text.empty() ? "" : ",", axis.name,
                   layout.*axis.size);
  }
  return text.empty() ? "dp=1" : text;
}

Layout parse_layout(std::string_view text) {
  const auto refuse = [text](const std::string& reason) {
    throw std::invalid_argument(fmt::format("layout `{}`: {}", text, reason));
  };
  Layout layout;
  std::set<std::string_view> seen;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    const auto part = text.substr(begin, end - begin);
    begin = end + 1;
    const auto equals = std::min(part.find('='), part.size());
    const auto name = part.substr(0, equals);
    const auto axis = std::find_if(kAxes.begin(), kAxes.end(), [name](const Axis& candidate) {
      return candidate.name == name;
    });
    if (axis == kAxes.end())
      refuse(fmt::format("`{}` is not of the form axis=size, axes pp, dp, cp, tp, ep, etp", part));
    if (!seen.insert(name).second) refuse(fmt::format("{} is given twice", name));
    const auto value = part.substr(std::min(equals + 1, part.size()));
    int size = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), size);
    if (error != std::errc() || stop != value.data() + value.size() || size < 1)
      refuse(fmt::format("{} must be a positive integer, not `{}`", name, value));
    layout.*axis->size = size;
  }
  return layout;
}

}  // namespace fulgur
