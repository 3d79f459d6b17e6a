#include <doctest/doctest.h>

#include "runtime/checkpoint/reader.hpp"
#include "runtime/checkpoint/safetensors.hpp"
#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur::test;

namespace {

const std::filesystem::path kModel = std::filesystem::path(FULGUR_GOLDEN_FOLDER) / "minimax-tiny";

}  // namespace

TEST_SUITE("end_to_end/hugging_face") {
  TEST_CASE("a model of transformers that is imported and exported has the same weights") {
    const TinyRun place;
    const auto imported = place.fulgur({"import", "hf", kModel.string(), "--into", "run"});
    INFO(imported.errors);
    REQUIRE(imported.exit_code == 0);
    CHECK(place.checkpoints() == std::vector<std::int64_t>{0});
    CHECK(fulgur::verify_checkpoint(place.checkpoint(0)).empty());

    const auto exported = place.fulgur({"export", "hf", "run", "out"});
    INFO(exported.errors);
    REQUIRE(exported.exit_code == 0);
    const fulgur::SafetensorsReader before(kModel);
    const fulgur::SafetensorsReader after(place.folder() / "out");
    REQUIRE(before.has("model.embed_tokens.weight"));
    for (const auto& [name, entry] : before.tensors()) {
      if (name.ends_with("_decay"))
        continue;  // tables of the decay, of a size that the export chose
      CAPTURE(name);
      REQUIRE(after.has(name));
      CHECK(after.entry(name).shape == entry.shape);
      CHECK(after.floats(name) == before.floats(name));
    }
    CHECK(place.fulgur({"import", "hf", "out", "--into", "again"}).exit_code == 0);
    CHECK(all_gone(place));
  }

  TEST_CASE("a trained model can be exported, imported and goes on with the same text") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    REQUIRE(run.fulgur({"export", "hf", "run", "out"}).exit_code == 0);
    REQUIRE(run.fulgur({"import", "hf", "out", "--into", "again"}).exit_code == 0);
    const auto text = [&](const char* where) {
      return run.fulgur({"generate", where, "--prompt", "The square", "--tokens", "20"}).output;
    };
    CHECK(text("run").starts_with("The square"));
    CHECK(text("again") == text("run"));
  }

  TEST_CASE("a folder that is no model is refused by name, and nothing is made") {
    const TinyRun place;
    std::filesystem::create_directory(place.folder() / "empty");
    const auto outcome = place.fulgur({"import", "hf", "empty", "--into", "run"});
    CHECK(outcome.exit_code == 65);
    CHECK(contains(outcome.errors, "empty/config.json"));
    CHECK_FALSE(std::filesystem::exists(place.directory()));
  }

  TEST_CASE("a truncated model is refused, and no checkpoint comes of it") {
    const TinyRun place;
    const auto folder = place.folder() / "truncated";
    std::filesystem::create_directory(folder);
    for (const auto* name : {"config.json", "model.safetensors"})
      std::filesystem::copy_file(kModel / name, folder / name);
    std::filesystem::resize_file(folder / "model.safetensors", 100000);
    const auto outcome = place.fulgur({"import", "hf", "truncated", "--into", "run"});
    CHECK(outcome.exit_code == 65);
    CHECK(contains(outcome.errors, "truncated/model.safetensors"));
    CHECK(place.checkpoints().empty());
  }

  TEST_CASE("neither import nor export writes over what is there") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    const auto before = snapshot(run.directory() / "checkpoints");
    CHECK(run.fulgur({"import", "hf", kModel.string(), "--into", "run"}).exit_code == 2);
    const auto outcome = run.fulgur({"export", "hf", "run", "run"});
    CHECK(outcome.exit_code != 0);
    CHECK(contains(outcome.errors, "expected a folder that is empty"));
    CHECK(snapshot(run.directory() / "checkpoints") == before);
  }
}
