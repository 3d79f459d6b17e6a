#include "recipes/fields.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

// Counts the members of an aggregate: the largest number of initializers that it takes.
struct Anything {
  template <class T>
  operator T() const;  // never called
};

template <class T, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return requires {
    T{(static_cast<void>(I), Anything{})...};
  };
}

template <class T, std::size_t N = 0>
constexpr std::size_t num_members() {
  if constexpr (takes<T>(std::make_index_sequence<N + 1>()))
    return num_members<T, N + 1>();
  else
    return N;
}

TEST_SUITE("recipes/fields") {
  TEST_CASE("every member of a job's structs is declared as a field") {
    CHECK(keys_of("").size() == num_members<Job>());
    CHECK(keys_of("model").size() == num_members<ModelSpec>());
    CHECK(keys_of("data").size() == num_members<DataSpec>());
    CHECK(keys_of("train").size() == num_members<TrainSpec>());
    CHECK(keys_of("optimizer").size() == num_members<OptimizerSpec>());
    CHECK(keys_of("optimizer.learning_rate").size() == num_members<LearningRateSpec>());
    CHECK(keys_of("layout").size() == num_members<Layout>());
    CHECK(keys_of("context").size() == num_members<ContextSpec>());
    CHECK(keys_of("experts").size() == num_members<ExchangeSpec>());
    CHECK(keys_of("pipeline").size() == num_members<PipelineSpec>());
    CHECK(keys_of("memory").size() == num_members<MemorySpec>());
    CHECK(keys_of("checkpoint").size() == num_members<CheckpointSpec>());
    CHECK(keys_of("cluster").size() == num_members<ClusterSpec>());
    CHECK(keys_of("sample").size() == num_members<GenerateSpec>());
  }

  TEST_CASE("no two fields share a name or a place") {
    std::set<std::string_view> names;
    std::set<FieldValue (*)(const Job&)> places;
    for (const auto& field : fields()) {
      CAPTURE(field.name);
      CHECK(names.insert(field.name).second);
      CHECK(places.insert(field.access.get).second);
      CHECK_FALSE(is_section(field.name));
    }
  }

  TEST_CASE("a default lies in the range of its field, and a derived field can be derived") {
    const Job defaults;
    for (const auto& field : fields()) {
      CAPTURE(field.name);
      CHECK((field.presence == Presence::kDerived) == (field.derive != nullptr));
      CHECK(field.derivation.empty() == (field.derive == nullptr));
      CHECK_FALSE(field.help.empty());
      if (field.presence != Presence::kDefault) continue;
      const auto value = field.access.get(defaults);
      if (const auto* number = std::get_if<std::int64_t>(&value))
        CHECK(field.range.contains(static_cast<double>(*number)));
      if (const auto* number = std::get_if<double>(&value)) CHECK(field.range.contains(*number));
    }
  }

  TEST_CASE("the derived values are those of the paper's model") {
    Job job = test::small_job();
    job.model = test::minimax_text_01();
    const auto expected = job.model;
    job.train.micro_batch = 0;
    for (const auto& field : fields()) {
      if (field.derive != nullptr) field.derive(job);
    }
    CHECK(job.model.moe_alpha == 3.5565588200778455);
    CHECK(job.model.lightning_alpha == expected.lightning_alpha);
    CHECK(job.model.head_dim == 96);  // 6144 / 64; the paper's 128 is given by hand
    CHECK(job.model.rotary_dim == 48);
    CHECK(job.model.kv_heads == 64);
    CHECK(job.train.micro_batch == 8);
    CHECK(job.run_directory == "runs/small");
  }

  TEST_CASE("a range knows its ends and refuses what is no number") {
    const Range half_open{.min = 0, .max = 1, .open_max = true};
    CHECK(half_open.contains(0));
    CHECK_FALSE(half_open.contains(1));
    CHECK_FALSE(half_open.contains(std::numeric_limits<double>::quiet_NaN()));
    CHECK_FALSE(Range{}.contains(std::numeric_limits<double>::infinity()));
    CHECK(to_string(half_open) == "at least 0 and below 1");
    CHECK(to_string(Range{.min = 1, .max = 8}) == "between 1 and 8");
    CHECK(to_string(Range{.min = 0, .open_min = true}) == "above 0");
    CHECK(to_string(Range{}).empty());
  }

  TEST_CASE("sections and fields are found by their dotted names") {
    CHECK(is_section(""));
    CHECK(is_section("optimizer.learning_rate"));
    CHECK_FALSE(is_section("optimizer.learning"));
    CHECK_FALSE(is_section("train.steps"));
    CHECK(find_field("train.steps") != nullptr);
    CHECK(find_field("train") == nullptr);
    CHECK(find_field("") == nullptr);
  }
}

}  // namespace
}  // namespace fulgur
