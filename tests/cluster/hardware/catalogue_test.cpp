#include "cluster/hardware/catalogue.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "recipes/diagnostic.hpp"

namespace fulgur {
namespace {

std::string text_of(std::string_view name) {
  for (const auto& file : catalogue_files())
    if (file.name == name) return std::string(file.text);
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// The codes of what is wrong with a file, one behind the other.
std::string faults(const std::string& text) {
  try {
    parse_hardware(text, "lab.yaml");
  } catch (const RecipeError& error) {
    std::string codes;
    for (const auto& each : error.diagnostics())
      codes += each.code + " ";
    return codes;
  }
  return "";
}

std::string complaint(const std::string& cluster) {
  try {
    find_cluster(cluster);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("cluster/hardware") {
  TEST_CASE("every file of the catalogue can be read and is called by its name") {
    CHECK(catalogue_files().size() >= 3);
    for (const auto& file : catalogue_files()) {
      CAPTURE(file.name);
      CHECK(find_cluster(std::string(file.name)).hardware.name == file.name);
    }
  }

  TEST_CASE("a number behind the name counts devices, and nodes follow from it") {
    const auto h800 = find_cluster("h800x2048");
    CHECK(h800.devices == 2048);
    CHECK(h800.nodes() == 256);
    CHECK(find_cluster("h800").devices == 8);
    CHECK(find_cluster("h200x1").nodes() == 1);
    CHECK(find_cluster("h200x2").devices == 2);
    CHECK(h800.hardware.peak_bfloat16 == 989e12);
    CHECK(h800.hardware.memory == 81559.0 * 1024 * 1024);
    CHECK(h800.hardware.network.latency == 25e-6);
  }

  TEST_CASE("a wrong number of devices is refused with the nearest right ones") {
    CHECK(complaint("h800x20").find("nearest: 16 or 24") != std::string::npos);
    CHECK(complaint("h200x3").find("nearest: 2 or 4") != std::string::npos);
    CHECK(complaint("cpux8").find("it has no network") != std::string::npos);
    CHECK(complaint("h800x0").find("no such number") != std::string::npos);
    CHECK(complaint("h800x99999999999").find("no such number") != std::string::npos);
  }

  TEST_CASE("an unknown name is refused with the nearest one and all that there are") {
    CHECK(complaint("h80").find("did you mean `h800`?") != std::string::npos);
    CHECK(complaint("x8").find("there are cpu, h200, h800") != std::string::npos);
  }

  TEST_CASE("a figure without a source, with a wrong unit or out of range is refused") {
    const auto right = text_of("h200");
    REQUIRE(faults(right).empty());
    CHECK(faults(replaced(right, "  source: \"nvidia-smi of an H200\"\n", "")) == "E0108 ");
    CHECK(faults(replaced(right, "143771MiB", "143771s")) == "E0110 ");
    CHECK(faults(replaced(right, "value: 0.78", "value: 1.80")) == "E0111 ");
    CHECK(faults(replaced(right, "device: cuda", "device: tpu")) == "E0112 ");
    CHECK(faults(replaced(right, "name: h200\n", "")) == "E0108 ");
  }

  TEST_CASE("all mistakes are reported together, a misspelt key with the right one") {
    const auto wrong = replaced(replaced(text_of("h200"), "peak_bfloat16:", "peak_bfloat61:"),
                                "value: 0.78", "value: fast");
    CHECK(faults(wrong) == "E0107 E0109 ");
    try {
      parse_hardware(wrong, "lab.yaml");
    } catch (const RecipeError& error) {
      CHECK(error.diagnostics().front().help == "did you mean `peak_bfloat16`?");
      CHECK(error.diagnostics().front().positions.front().source.str() == "lab.yaml");
    }
  }
}

}  // namespace fulgur
