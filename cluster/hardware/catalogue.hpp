#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/cost/hardware.hpp"

namespace fulgur {

// The hardware that jobs can be planned for: one YAML file for a kind of node (cluster/hardware/*.yaml,
// built into the program). Every figure says where it comes from:
//
//   name: h200
//   about: eight NVIDIA H200 in a node
//   device: cuda
//   memory: {value: 140GiB, source: "nvidia-smi: 143771 MiB"}
//
// The keys are those of hardware_keys().

struct HardwareKey {
  std::string_view name, unit, help;
};
std::span<const HardwareKey> hardware_keys();

struct CatalogueFile {
  std::string_view name;  // "h200"
  std::string_view text;
};
std::span<const CatalogueFile> catalogue_files() noexcept;

// Throws RecipeError with everything that is wrong: unknown and missing keys, figures without a source,
// wrong units, numbers out of range. `source` is named in its messages.
Hardware parse_hardware(const std::string& text, std::string_view source);

// What --cluster names: "h800" (one node), "h800x2048" (so many devices), or a file like those of the
// catalogue, "lab.yaml" or "lab.yamlx16". Throws std::invalid_argument for a name that is not in the
// catalogue, and for a number of devices that is neither part of a node nor whole nodes, with the
// nearest right one; RecipeError for a file that is wrong.
Cluster find_cluster(const std::string& name);

// The entry for a GPU as its driver names it: h200 for "NVIDIA H200". Nothing when the catalogue lacks it.
std::optional<Hardware> find_gpu(std::string_view device_name);

// One node of the hardware that a job without --cluster is planned for: that of its device.
std::string_view default_cluster(DeviceKind device) noexcept;

}  // namespace fulgur
