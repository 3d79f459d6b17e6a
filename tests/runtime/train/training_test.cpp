#include <doctest/doctest.h>

#include <cmath>
#include <fstream>

#include "recipes/fields.hpp"
#include "recipes/parameters.hpp"
#include "recipes/phases.hpp"
#include "runtime/checkpoint/reader.hpp"
#include "runtime/data/corpus.hpp"
#include "runtime/train/generate.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thread_run.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

// A whole small model on a text with documents of many lengths, some longer than a sequence.
struct Case {
  test::TemporaryDirectory folder;
  Job job;

  explicit Case(int dp = 1) {
    const auto text = folder.path() / "text";
    std::ofstream out(text);
    for (int i = 0; i < 200; ++i) {
      for (int word = 0; word <= i * 7 % 23; ++word)
        out << "the " << (word * i) % 10 << "th of " << i % 13 << " words ";
      out << "\n%\n";
    }
    out.close();
    job.name = "case";
    job.run_directory = (folder.path() / "run").string();
    job.device = DeviceKind::kCpu;
    job.model = {.vocabulary = 260,
                 .layers = 4,
                 .hidden = 24,
                 .heads = 4,
                 .kv_heads = 2,
                 .head_dim = 8,
                 .rotary_dim = 4,
                 .softmax_every = 4,
                 .experts = 6,
                 .experts_per_token = 2,
                 .expert_hidden = 20,
                 .lightning_alpha = 1.68,
                 .softmax_alpha = 1.68,
                 .moe_alpha = 1.68,
                 .aux_loss_coef = 0.01};
    job.data = {.files = {text.string()}, .document_separator = "%"};
    job.train = {.steps = 6, .sequence_length = 37, .batch = 8, .micro_batch = 4, .seed = 3};
    job.optimizer.learning_rate = {.peak = 3e-3, .final = 3e-4, .warmup_tokens = 500};
    job.layout.dp = dp;
  }

  std::filesystem::path checkpoint(int step) const {
    return checkpoint_folder(std::filesystem::path(job.run_directory) / "checkpoints", step);
  }

  std::vector<StepReport> train(const std::optional<std::filesystem::path>& resume = std::nullopt,
                                std::int64_t stop_after = -1) {
    test::ThreadHost host(job, world_size(job.layout));
    host.stop_after = stop_after;
    return test::train_on_threads(job, host, resume);
  }

  // A tensor of every parameter, one behind the other.
  std::vector<float> state(int step, const std::string& prefix) const {
    CheckpointReader reader(checkpoint(step));
    std::vector<float> all;
    for (const auto& parameter : parameters(job.model, job.optimizer.decay_on)) {
      const auto at = all.size(), count = static_cast<std::size_t>(parameter.count());
      all.resize(at + count);
      reader.read(prefix + parameter.name, 0, {all.data() + at, count});
    }
    return all;
  }
};

// One more phase, which gives nothing yet.
void add_phase(Job& job, std::int64_t from) {
  for (const auto name : phase_field_names()) {
    const auto& access = find_field(name)->access;
    auto column = access.get(job);
    std::visit(
        []<class T>(T& list) {
          if constexpr (requires { list.emplace_back(); }) list.emplace_back();
        },
        column);
    access.set(job, column);
  }
  job.phases.from.back() = from;
  job.phases.learning_rate.back() = -1;
}

std::string text_of(const Job& job, const std::filesystem::path& checkpoint) {
  test::ThreadHost host(job, 1);
  generate(job, checkpoint, {.prompt = "the 3th of", .tokens = 40, .temperature = 0}, host);
  return host.printed();
}

}  // namespace

TEST_SUITE("runtime/train") {
  TEST_CASE("the number of data-parallel ranks changes nothing but rounding") {
    Case one;
    const auto expected = one.train();
    for (const int dp : {2, 4}) {
      CAPTURE(dp);
      Case many(dp);
      const auto reports = many.train();
      REQUIRE(reports.size() == expected.size());
      for (std::size_t i = 0; i < reports.size(); ++i) {
        CHECK(reports[i].loss == doctest::Approx(expected[i].loss).epsilon(1e-5));
        CHECK(reports[i].aux_loss == doctest::Approx(expected[i].aux_loss).epsilon(1e-5));
        CHECK(reports[i].gradient_norm == doctest::Approx(expected[i].gradient_norm).epsilon(1e-4));
      }
      // AdamW divides by the gradient's size, so a gradient near 0 turns rounding into a whole step:
      // weights agree less closely than losses do.
      CHECK(test::relative_error(many.state(6, "model/"), one.state(6, "model/")) < 1e-3);
    }
  }

  TEST_CASE("without the auxiliary loss the micro-batch size changes nothing but rounding") {
    Case small, large;
    small.job.model.aux_loss_coef = large.job.model.aux_loss_coef = 0;
    small.job.train.micro_batch = 1;
    large.job.train.micro_batch = 8;
    const auto a = small.train(), b = large.train();
    for (std::size_t i = 0; i < a.size(); ++i) {
      CHECK(a[i].loss == doctest::Approx(b[i].loss).epsilon(1e-5));
      CHECK(a[i].gradient_norm == doctest::Approx(b[i].gradient_norm).epsilon(1e-4));
    }
  }

  TEST_CASE("a run that was stopped and resumed equals an undisturbed one bit for bit") {
    Case whole(2), parts(2);
    const auto expected = whole.train();
    const auto first = parts.train(std::nullopt, 2);
    REQUIRE(first.size() == 2);
    const auto second = parts.train(parts.checkpoint(2));
    REQUIRE(second.size() == expected.size() - 2);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto& report = i < 2 ? first[i] : second[i - 2];
      CHECK(report.step == expected[i].step);
      CHECK(report.loss == expected[i].loss);
      CHECK(report.gradient_norm == expected[i].gradient_norm);
    }
    for (const std::string prefix : {"model/", "exp_avg/", "exp_avg_sq/"})
      CHECK(parts.state(6, prefix) == whole.state(6, prefix));
  }

  TEST_CASE("a checkpoint of any layout goes on with any other") {
    const auto expected = Case().train();
    // From each to the next, and from the last to the first. In the middle all six axes change at once.
    const std::vector<std::string> layouts = {"dp=2",
                                              "pp=2,tp=2,ep=2",
                                              "dp=2,cp=2,ep=2,etp=2",
                                              "tp=2,dp=2,ep=2",
                                              "pp=4,dp=2",
                                              "cp=3,ep=3",
                                              "pp=2,dp=2,cp=2,tp=2,ep=2,etp=2",
                                              "tp=4,etp=4",
                                              "dp=4,ep=2,etp=2",
                                              "pp=2,cp=3,ep=3",
                                              "cp=2,tp=2,etp=4",
                                              "pp=4,tp=2,ep=2",
                                              "dp=2,cp=3,ep=6",
                                              "dp=1"};
    for (std::size_t i = 0; i < layouts.size(); ++i) {
      const auto& from = layouts[i];
      const auto& to = layouts[(i + 1) % layouts.size()];
      CAPTURE(from);
      CAPTURE(to);
      Case c;
      c.job.layout = parse_layout(from);
      c.train(std::nullopt, 3);
      CHECK(verify_checkpoint(c.checkpoint(3)).empty());
      c.job.layout = parse_layout(to);
      const auto rest = c.train(c.checkpoint(3));
      REQUIRE(rest.size() == 3);
      for (std::size_t step = 0; step < rest.size(); ++step) {
        CHECK(rest[step].tokens == expected[step + 3].tokens);
        CHECK(rest[step].learning_rate == expected[step + 3].learning_rate);
        const double loss = expected[step + 3].loss;
        CHECK(std::abs(rest[step].loss - loss) <= 1e-5 * loss);
      }
    }
  }

  TEST_CASE("a checkpoint of another layout holds the same weights, bit for bit") {
    Case one, many;
    one.job.train.steps = many.job.train.steps = 1;
    one.job.optimizer.learning_rate.peak = many.job.optimizer.learning_rate.peak = 1e-30;
    one.job.optimizer.weight_decay = many.job.optimizer.weight_decay = 0;
    many.job.layout = parse_layout("pp=2,cp=2,tp=2,ep=2,etp=2");
    one.train();
    many.train();
    // Steps too small to move a weight: what is left are the initial ones.
    CHECK(many.state(1, "model/") == one.state(1, "model/"));
  }

  TEST_CASE("a phase with another rotary base trains as a run that is resumed with it") {
    Case phased, parts;
    add_phase(phased.job, 4 * 37 * 8);
    phased.job.phases.rope_base[0] = 40;
    phased.job.phases.batch[0] = parts.job.train.batch;  // as before
    const auto expected = phased.train();
    parts.train(std::nullopt, 4);
    const auto text_before = text_of(parts.job, parts.checkpoint(4));
    parts.job.model.rope_base = 40;
    parts.job.resume.allow_change = {"model.rope_base"};
    const auto rest = parts.train(parts.checkpoint(4));
    REQUIRE(rest.size() == 2);
    for (std::size_t i = 0; i < 2; ++i)
      CHECK(rest[i].loss == expected[4 + i].loss);
    CHECK(parts.state(6, "model/") == phased.state(6, "model/"));
    // A checkpoint writes text with the base that its last step had.
    CHECK(text_of(phased.job, phased.checkpoint(4)) == text_before);
    CHECK(text_of(phased.job, phased.checkpoint(6)) == text_of(parts.job, parts.checkpoint(6)));
    parts.job.model.rope_base = 10000;
    CHECK(text_of(phased.job, phased.checkpoint(6)) != text_of(parts.job, parts.checkpoint(6)));
  }

  TEST_CASE("sources side by side: any layout and any stop read the same samples") {
    const auto with_sources = [](Case& c) {
      const auto more = c.folder.path() / "more";
      std::ofstream(more) << std::string(3000, 'x');
      c.job.data.sources = {.name = {"words", "letters"},
                            .files = {c.job.data.files, {more.string()}},
                            .weight = {3, 1}};
      c.job.data.files.clear();
      add_phase(c.job, 4 * 37 * 8);
      c.job.phases.mix[0] = {1, 2};
      c.job.phases.mix_over[0] = 600;
      c.job.phases.sequence_length[0] = 45;
    };
    Case whole, parts;
    with_sources(whole);
    with_sources(parts);
    const auto expected = whole.train();
    int from = 0;
    for (const auto& [layout, until] :
         {std::pair{"dp=2", 3}, std::pair{"cp=3", 5}, std::pair{"pp=2", 6}}) {
      parts.job.layout = parse_layout(layout);
      const auto reports =
          parts.train(from == 0 ? std::nullopt : std::optional(parts.checkpoint(from)), until);
      REQUIRE(static_cast<int>(reports.size()) == until - from);
      for (const auto& report : reports) {
        const auto& same = expected[static_cast<std::size_t>(report.step - 1)];
        CHECK(report.loss == doctest::Approx(same.loss).epsilon(1e-5));
        CHECK(report.tokens == same.tokens);
      }
      from = until;
    }
  }

  TEST_CASE("training lowers the loss far below that of an untrained model") {
    Case c(2);
    c.job.train.steps = 60;
    c.job.optimizer.learning_rate.peak = 1e-2;
    const auto reports = c.train();
    CHECK(reports.front().loss == doctest::Approx(std::log(260.0)).epsilon(0.1));
    CHECK(reports.back().loss < 0.6 * reports.front().loss);
  }

  TEST_CASE("checkpoints come every n steps and the oldest go") {
    Case c;
    c.job.checkpoint = {.every = 2, .keep = 2};
    c.train();
    const auto found = list_checkpoints(std::filesystem::path(c.job.run_directory) / "checkpoints");
    REQUIRE(found.size() == 2);
    CHECK(found[0].step == 4);
    CHECK(found[1].step == 6);
    CHECK(verify_checkpoint(found[1].path).empty());
  }

  TEST_CASE("a resume refuses another model, another batch and another text") {
    Case c;
    c.train(std::nullopt, 2);
    SUBCASE("model") {
      c.job.model.norm_eps = 1e-6;
      CHECK_THROWS_AS(c.train(c.checkpoint(2)), CheckpointError);
    }
    SUBCASE("batch") {
      c.job.train.batch = 16;
      CHECK_THROWS_AS(c.train(c.checkpoint(2)), CheckpointError);
    }
    SUBCASE("text") {
      std::ofstream(c.job.data.files[0], std::ios::app) << "one more\n";
      CHECK_THROWS_AS(c.train(c.checkpoint(2)), DataError);
    }
  }

  TEST_CASE("a loss that is no number ends the run on every rank") {
    Case c(2);
    c.job.optimizer.learning_rate = {.peak = 1e30};
    CHECK_THROWS_AS(c.train(), DivergedError);
  }

  TEST_CASE("a checkpoint that cannot be written is told and leaves no folder") {
    Case c;
    std::ofstream(c.job.run_directory) << "a file where the run directory should be";
    test::ThreadHost host(c.job, 1);
    CHECK_THROWS_AS(test::train_on_threads(c.job, host), CheckpointError);
    REQUIRE(host.failures().size() == 1);
    CHECK(host.failures()[0].find("run") != std::string::npos);
  }

  TEST_CASE("generation continues the prompt and repeats itself for the same seed") {
    Case c;
    c.train();
    GenerateSpec spec{.prompt = "the ", .tokens = 20, .temperature = 0.8, .seed = 5};
    const auto text = [&] {
      test::ThreadHost host(c.job, 1);
      generate(c.job, c.checkpoint(6), spec, host);
      return host.printed();
    };
    const auto first = text();
    CHECK(first.starts_with("the "));
    CHECK(first.size() > 4);
    CHECK(text() == first);
    spec.seed = 6;
    CHECK(text() != first);
  }
}

}  // namespace fulgur
