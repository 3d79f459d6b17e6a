#include <doctest/doctest.h>

#include "orchestrator/cli/options.hpp"

using namespace fulgur;

namespace {

Parsed parsed(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "fulgur");
  return parse(static_cast<int>(arguments.size()), arguments.data());
}

template <class T>
T command(const std::vector<const char*>& arguments) {
  const auto result = parsed(arguments);
  CAPTURE(result.text);
  REQUIRE(result.command.has_value());
  return std::get<T>(*result.command);
}

std::string refusal(const std::vector<const char*>& arguments) {
  const auto result = parsed(arguments);
  CHECK_FALSE(result.command.has_value());
  CHECK(result.exit_code == 2);
  return result.text;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("orchestrator/cli/parse") {
  TEST_CASE("the form of error messages is chosen") {
    CHECK(parsed({"check", "r.yaml"}).error_format == ErrorFormat::kHuman);
    CHECK(parsed({"check", "r.yaml", "--error-format=short"}).error_format == ErrorFormat::kShort);
    CHECK(parsed({"check", "--error-format", "json", "r.yaml", "a=1"}).error_format ==
          ErrorFormat::kJson);
    CHECK(contains(refusal({"check", "r.yaml", "--error-format=xml"}), "xml"));
  }

  TEST_CASE("overrides come with --set or without, those with it last") {
    const auto train = command<TrainOptions>(
        {"train", "r.yaml", "a.b=1", "--set", "c=2", "d=[x, y]", "--set", "e=3"});
    CHECK(train.recipe == "r.yaml");
    CHECK(train.overrides == std::vector<std::string>{"a.b=1", "d=[x, y]", "c=2", "e=3"});
    CHECK(train.resume);
    CHECK_FALSE(command<TrainOptions>({"train", "r.yaml", "--resume", "never"}).resume);
    CHECK(command<CheckOptions>({"check", "r.yaml", "a=1"}).overrides.size() == 1);
  }

  TEST_CASE("a plan is for a cluster, and goes into files") {
    const auto plain = command<PlanOptions>({"plan", "r.yaml", "layout.dp=2"});
    CHECK(plain.recipe == "r.yaml");
    CHECK(plain.overrides == std::vector<std::string>{"layout.dp=2"});
    CHECK(plain.cluster.empty());
    CHECK_FALSE(plain.imbalance);
    const auto full = command<PlanOptions>({"plan", "r.yaml", "--cluster", "h800x2048", "--json",
                                            "a.json", "--svg", "a.svg", "--imbalance", "1.5"});
    CHECK(full.cluster == "h800x2048");
    CHECK(full.json == "a.json");
    CHECK(full.svg == "a.svg");
    CHECK(full.imbalance == 1.5);
    CHECK(contains(refusal({"plan", "r.yaml", "--imbalance", "0.5"}), "imbalance"));
  }

  TEST_CASE("power takes groups of runs, or names in a table") {
    const auto plain = command<PowerOptions>({"power", "--baseline", "a", "b", "--variant", "c"});
    CHECK(plain.baseline == std::vector<std::string>{"a", "b"});
    CHECK(plain.variant == std::vector<std::string>{"c"});
    CHECK(plain.metric == "loss");
    CHECK(plain.better == "lower");
    CHECK_FALSE(plain.table);
    const auto full = command<PowerOptions>(
        {"power", "--table", "t.jsonl", "--by", "mix", "--baseline", "a", "--metric", "score",
         "--better", "higher", "--confidence", "0.99", "--power", "0.9", "--effect", "0.5"});
    CHECK(full.table == "t.jsonl");
    CHECK(full.by == "mix");
    CHECK(full.better == "higher");
    CHECK(full.confidence == 0.99);
    CHECK(full.power == 0.9);
    CHECK(full.effect == 0.5);
    CHECK(contains(refusal({"power", "--variant", "a"}), "baseline"));
    CHECK(contains(refusal({"power", "--baseline", "a", "--confidence", "1"}), "confidence"));
  }

  TEST_CASE("parity takes layouts, each with an option of its own") {
    const auto plain = command<ParityOptions>({"parity", "r.yaml", "--layout", "dp=2"});
    CHECK(plain.recipe == "r.yaml");
    CHECK(plain.layouts == std::vector<std::string>{"dp=2"});
    CHECK(plain.steps == 3);
    CHECK_FALSE(plain.output);
    const auto full =
        command<ParityOptions>({"parity", "--layout", "dp=2", "r.yaml", "a.b=1", "--layout",
                                "pp=2,tp=2", "--steps", "5", "--output", "kept", "--set", "c=2"});
    CHECK(full.layouts == std::vector<std::string>{"dp=2", "pp=2,tp=2"});
    CHECK(full.overrides == std::vector<std::string>{"a.b=1", "c=2"});
    CHECK(full.steps == 5);
    CHECK(full.output == std::filesystem::path("kept"));
    CHECK(contains(refusal({"parity", "r.yaml"}), "--layout"));
  }

  TEST_CASE("generate takes what differs from the recipe") {
    const auto plain = command<GenerateOptions>({"generate", "runs/x"});
    CHECK(plain.where == "runs/x");
    CHECK_FALSE(plain.prompt);
    CHECK_FALSE(plain.seed);
    const auto full =
        command<GenerateOptions>({"generate", "runs/x", "--prompt", "Once", "--tokens", "5",
                                  "--temperature", "0", "--top-p", "0.9", "--seed", "7"});
    CHECK(full.prompt == "Once");
    CHECK(full.tokens == 5);
    CHECK(full.temperature == 0);
    CHECK(full.top_p == 0.9);
    CHECK(full.seed == 7);
  }

  TEST_CASE("checkpoints are listed, shown and verified") {
    CHECK(command<ListOptions>({"ckpt", "ls", "x"}).where == "x");
    CHECK(command<ShowOptions>({"ckpt", "show", "x"}).where == "x");
    CHECK(command<VerifyOptions>({"ckpt", "verify", "x"}).where == "x");
    CHECK(std::holds_alternative<VersionOptions>(*parsed({"--version"}).command));
  }

  TEST_CASE("models come from and go to Hugging Face folders") {
    const auto taken = command<ImportOptions>({"import", "hf", "folder", "--into", "runs/x"});
    CHECK(taken.source == "folder");
    CHECK(taken.into == "runs/x");
    const auto given = command<ExportOptions>({"export", "hf", "runs/x", "folder"});
    CHECK(given.where == "runs/x");
    CHECK(given.destination == "folder");
    CHECK(contains(refusal({"import", "hf", "folder"}), "--into"));
    CHECK(contains(refusal({"import"}), "which command?"));
  }

  TEST_CASE("a wrong word is answered with the right one") {
    CHECK(contains(refusal({"trian", "r.yaml"}), "unknown command 'trian'; did you mean 'train'?"));
    CHECK(contains(refusal({"ckpt", "lst", "x"}), "unknown command 'lst'; did you mean 'ls'?"));
    CHECK(contains(refusal({"train", "r.yaml", "--resme", "auto"}),
                   "unknown option '--resme'; did you mean '--resume'?"));
    CHECK(contains(refusal({"generate", "x", "--frobnicate"}), "unknown option '--frobnicate'"));
    CHECK(contains(refusal({"ckpt", "ls", "x", "y"}), "'y'"));
  }

  TEST_CASE("what is missing or out of range is named") {
    CHECK(contains(refusal({}), "which command?"));
    CHECK(contains(refusal({"ckpt"}), "which command?"));
    CHECK(contains(refusal({"train"}), "RECIPE"));
    CHECK(contains(refusal({"train", "r.yaml", "--resume", "maybe"}), "maybe"));
    CHECK(contains(refusal({"generate", "x", "--tokens", "many"}), "many"));
    CHECK(contains(refusal({"generate", "x", "--top-p", "2"}), "2"));
  }

  TEST_CASE("help names the commands, examples and exit codes") {
    const auto help = parsed({"--help"});
    CHECK(help.exit_code == 0);
    for (const char* part : {"train", "check", "generate", "ckpt", "Examples:", "Exit codes:"})
      CHECK(contains(help.text, part));
    CHECK(contains(parsed({"train", "--help"}).text, "--resume"));
  }
}
