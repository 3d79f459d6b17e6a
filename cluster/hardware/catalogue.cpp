#include "cluster/hardware/catalogue.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/algorithm/string.hpp>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <variant>

#include "recipes/dsl/recipe_text.hpp"
#include "recipes/dsl/suggest.hpp"

namespace fulgur {
namespace {

constexpr std::string_view kYaml = ".yaml";

std::string names_text() {
  std::vector<std::string_view> names;
  for (const auto& file : catalogue_files())
    names.push_back(file.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

Hardware find_hardware(const std::string& name) {
  if (name.ends_with(kYaml)) return parse_hardware(read_recipe_text(name), name);
  std::vector<std::string> names;
  for (const auto& file : catalogue_files()) {
    if (file.name == name) return parse_hardware(std::string(file.text), name + ".yaml");
    names.emplace_back(file.name);
  }
  const auto near = nearest(name, names);
  throw std::invalid_argument(fmt::format(
      "there is no hardware `{}` in the catalogue{}; there are {}, and files that end in .yaml",
      name, near.empty() ? "" : fmt::format(" (did you mean `{}`?)", near), names_text()));
}

// "h800x2048" is 2048 of "h800"; no number when there is none at the end.
std::optional<int> take_count(std::string& name) {
  const auto x = name.rfind('x');
  if (x == std::string::npos || x == 0 || x + 1 == name.size()) return std::nullopt;
  int count = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + x + 1, end, count);
  if (stop != end) return std::nullopt;
  if (error != std::errc() || count < 1)
    throw std::invalid_argument(fmt::format("`{}`: no such number of devices", name));
  name.resize(x);
  return count;
}

void check_count(const Hardware& hardware, int devices) {
  const int node = hardware.devices_per_node;
  if (devices <= node && node % devices == 0) return;
  const bool joined = hardware.network.bandwidth > 0;
  if (joined && devices % node == 0) return;
  const auto refuse = [&](const std::string& nearest_values) {
    throw std::invalid_argument(fmt::format(
        "{} devices are neither an even part of a node of {} {} nor whole nodes; nearest: {}",
        devices, node, hardware.name, nearest_values));
  };
  if (!joined) {
    throw std::invalid_argument(
        fmt::format("{} devices, but {} is one node of {} (it has no network); nearest: {}",
                    devices, hardware.name, node, node));
  }
  if (devices < node) {
    int below = devices;
    while (node % below != 0)
      --below;
    int above = devices;
    while (node % above != 0)
      ++above;
    refuse(fmt::format("{} or {}", below, above));
  }
  refuse(fmt::format("{} or {}", devices / node * node, (devices / node + 1) * node));
}

}  // namespace

Cluster find_cluster(const std::string& name) {
  std::string hardware_name = name;
  const auto count = take_count(hardware_name);
  Cluster cluster{.hardware = find_hardware(hardware_name)};
  cluster.devices = count.value_or(cluster.hardware.devices_per_node);
  check_count(cluster.hardware, cluster.devices);
  return cluster;
}

std::optional<Hardware> find_gpu(std::string_view device_name) {
  std::vector<std::string> words;
  boost::split(words, device_name, boost::is_space());
  for (const auto& file : catalogue_files()) {
    const auto same = [&](const std::string& word) { return boost::iequals(word, file.name); };
    if (std::any_of(words.begin(), words.end(), same))
      return parse_hardware(std::string(file.text), file.name);
  }
  return std::nullopt;
}

std::string_view default_cluster(DeviceKind device) noexcept {
  return device == DeviceKind::kCuda ? "h200" : "cpu";
}

}  // namespace fulgur
