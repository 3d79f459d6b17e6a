#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <variant>

#include "cluster/hardware/catalogue.hpp"
#include "recipes/dsl/scalar.hpp"
#include "recipes/dsl/suggest.hpp"
#include "recipes/dsl/yaml_tree.hpp"

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

// A figure: how it is called, what it may be, and where it goes.
struct Figure {
  HardwareKey key;
  Unit unit;
  double min, max;
  double& (*member)(Hardware& hardware);
  bool required = true;
};

constexpr double kMany = 1e18;

constexpr auto kFigures = std::to_array<Figure>({
    {{"memory", "bytes", "of one device"},
     Unit::kBytes,
     1,
     kMany,
     [](Hardware& h) -> double& { return h.memory; }},
    {{"reserved", "bytes", "of a device's memory, for drivers, code and libraries"},
     Unit::kBytes,
     0,
     kMany,
     [](Hardware& h) -> double& { return h.reserved; }},
    {{"peak_float32", "FLOP/s", "dense, of one device"},
     Unit::kCount,
     1,
     kMany,
     [](Hardware& h) -> double& { return h.peak_float32; }},
    {{"peak_bfloat16", "FLOP/s", "dense, of one device; left out: it has no such arithmetic"},
     Unit::kCount,
     1,
     kMany,
     [](Hardware& h) -> double& { return h.peak_bfloat16; },
     false},
    {{"memory_bandwidth", "bytes/s", "of one device"},
     Unit::kBytes,
     1,
     kMany,
     [](Hardware& h) -> double& { return h.memory_bandwidth; }},
    {{"launch", "seconds", "that every operation takes besides"},
     Unit::kSeconds,
     0,
     1,
     [](Hardware& h) -> double& { return h.launch; }},
    {{"core_scaling", "of a core", "that every further core adds to a rank's speed; left out: 1"},
     Unit::kNone,
     0,
     1,
     [](Hardware& h) -> double& { return h.core_scaling; },
     false},
    {{"grouped_rows", "rows", "that an expert needs for half of the grouped products' efficiency"},
     Unit::kCount,
     0,
     1e6,
     [](Hardware& h) -> double& { return h.grouped_rows; }},
    {{"matmul", "of the peak", "that large products of matrices reach"},
     Unit::kNone,
     1e-4,
     1,
     [](Hardware& h) -> double& { return h.efficiency.matmul; }},
    {{"grouped_matmul", "of the peak", "that the experts' products reach with many rows"},
     Unit::kNone,
     1e-4,
     1,
     [](Hardware& h) -> double& { return h.efficiency.grouped_matmul; }},
    {{"softmax_forward", "of the peak", "that softmax attention reaches"},
     Unit::kNone,
     1e-4,
     1,
     [](Hardware& h) -> double& { return h.efficiency.softmax_forward; }},
    {{"softmax_backward", "of the peak", "that its backward pass reaches"},
     Unit::kNone,
     1e-4,
     1,
     [](Hardware& h) -> double& { return h.efficiency.softmax_backward; }},
    {{"lightning_forward", "of the peak", "that lightning attention reaches"},
     Unit::kNone,
     1e-4,
     1,
     [](Hardware& h) -> double& { return h.efficiency.lightning_forward; }},
    {{"lightning_backward", "of the peak", "that its backward pass reaches"},
     Unit::kNone,
     1e-4,
     1,
     [](Hardware& h) -> double& { return h.efficiency.lightning_backward; }},
    {{"memory_efficiency", "of memory_bandwidth", "that element-wise operations reach"},
     Unit::kNone,
     1e-4,
     1,
     [](Hardware& h) -> double& { return h.efficiency.memory; }},
    {{"node_bandwidth", "bytes/s", "that a device sends to others of its node"},
     Unit::kBytes,
     1,
     kMany,
     [](Hardware& h) -> double& { return h.node.bandwidth; }},
    {{"node_latency", "seconds", "of a call between devices of a node"},
     Unit::kSeconds,
     0,
     1,
     [](Hardware& h) -> double& { return h.node.latency; }},
    {{"network_bandwidth", "bytes/s",
      "that a device sends to other nodes; left out: there are none"},
     Unit::kBytes,
     1,
     kMany,
     [](Hardware& h) -> double& { return h.network.bandwidth; },
     false},
    {{"network_latency", "seconds", "of a call between nodes"},
     Unit::kSeconds,
     0,
     1,
     [](Hardware& h) -> double& { return h.network.latency; },
     false},
    {{"ring_buffer", "bytes", "that a communicator holds on a device"},
     Unit::kBytes,
     0,
     kMany,
     [](Hardware& h) -> double& { return h.ring_buffer; }},
    {{"peer_buffer", "bytes", "that it holds for each peer of an all-to-all or a pipe"},
     Unit::kBytes,
     0,
     kMany,
     [](Hardware& h) -> double& { return h.peer_buffer; }},
});

constexpr std::string_view kDevicesPerNode = "devices_per_node";

// Reads one file of the catalogue; goes on after a mistake.
class Reader {
 public:
  explicit Reader(const YamlPointer& root) : root_(root) {}

  Hardware read() {
    if (root_->kind != Kind::kMap) {
      report("E0109", "hardware is a mapping of keys", *root_);
      throw RecipeError(problems_.take());
    }
    for (const auto& entry : root_->entries)
      report_unknown(entry);
    hardware_.name = text_of("name");
    hardware_.about = text_of("about");
    read_device();
    if (const auto count = figure(kDevicesPerNode, Unit::kCount, 1, 65536))
      hardware_.devices_per_node = static_cast<int>(*count);
    for (const auto& each : kFigures) {
      if (!each.required && find(each.key.name) == nullptr) continue;
      if (const auto value = figure(each.key.name, each.unit, each.min, each.max))
        each.member(hardware_) = *value;
    }
    if (problems_.size() > 0) throw RecipeError(problems_.take());
    return hardware_;
  }

 private:
  void report(const char* code, std::string message, const YamlNode& at, std::string help = "") {
    problems_.add({code, std::move(message), {at.position}, "", std::move(help)});
  }

  const YamlEntry* find(std::string_view key) const {
    for (const auto& entry : root_->entries)
      if (entry.key == key) return &entry;
    return nullptr;
  }

  void report_unknown(const YamlEntry& entry) {
    std::vector<std::string> keys{"name", "about", "device", std::string(kDevicesPerNode)};
    for (const auto& each : kFigures)
      keys.emplace_back(each.key.name);
    if (std::find(keys.begin(), keys.end(), entry.key) != keys.end()) return;
    const auto near = nearest(entry.key, keys);
    problems_.add({"E0107",
                   fmt::format("unknown key `{}`", shortened(entry.key)),
                   {entry.position},
                   "not a key of hardware",
                   near.empty() ? "" : fmt::format("did you mean `{}`?", near)});
  }

  // nullptr when it is missing, which is reported.
  const YamlEntry* required(std::string_view key, std::string_view help) {
    const auto* entry = find(key);
    if (entry == nullptr)
      report("E0108", fmt::format("`{}` is missing", key), *root_, std::string(help));
    return entry;
  }

  std::string text_of(std::string_view key) {
    const auto* entry = required(key, "a text");
    if (entry == nullptr) return "";
    if (entry->value->kind == Kind::kScalar && !entry->value->text.empty())
      return entry->value->text;
    report("E0109", fmt::format("`{}` wants a text", key), *entry->value);
    return "";
  }

  void read_device() {
    const auto* entry = required("device", "cpu or cuda");
    if (entry == nullptr) return;
    const auto& text = entry->value->text;
    if (text == "cpu" || text == "cuda") {
      hardware_.device = text == "cpu" ? DeviceKind::kCpu : DeviceKind::kCuda;
    } else {
      report("E0112", fmt::format("`device` is `{}`", shortened(text)), *entry->value,
             "choices: cpu, cuda");
    }
  }

  std::optional<double> figure(std::string_view key, Unit unit, double min, double max) {
    const auto* entry = required(key, "{value: ..., source: ...}");
    if (entry == nullptr) return std::nullopt;
    const YamlEntry *value = nullptr, *source = nullptr;
    for (const auto& part : entry->value->entries) {
      if (part.key == "value") value = &part;
      if (part.key == "source") source = &part;
    }
    if (value == nullptr || source == nullptr || entry->value->entries.size() != 2 ||
        source->value->text.empty()) {
      report("E0108", fmt::format("`{}` needs a value and where it comes from", key), *entry->value,
             fmt::format("{}: {{value: ..., source: ...}}", key));
      return std::nullopt;
    }
    return number(key, *value->value, unit, min, max);
  }

  std::optional<double> number(std::string_view key, const YamlNode& node, Unit unit, double min,
                               double max) {
    const auto parsed =
        parse_real(node.kind == Kind::kScalar && !node.quoted ? node.text : "", unit);
    if (const auto* error = std::get_if<ScalarError>(&parsed)) {
      report(error->code.c_str(), fmt::format("`{}` {}", key, error->message), node, error->help);
      return std::nullopt;
    }
    const double value = std::get<double>(parsed);
    if (value >= min && value <= max) return value;
    report("E0111",
           fmt::format("`{}` is {}, but must lie between {} and {}", key, real_text(value),
                       real_text(min), real_text(max)),
           node);
    return std::nullopt;
  }

  YamlPointer root_;
  Hardware hardware_;
  Problems problems_;
};

}  // namespace

std::span<const HardwareKey> hardware_keys() {
  static const auto kKeys = [] {
    std::vector<HardwareKey> keys{{kDevicesPerNode, "devices", "that a node has"}};
    for (const auto& each : kFigures)
      keys.push_back(each.key);
    return keys;
  }();
  return kKeys;
}

Hardware parse_hardware(const std::string& text, std::string_view source) {
  return Reader(parse_yaml(text, source)).read();
}

}  // namespace fulgur
