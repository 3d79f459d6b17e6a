#include "recipes/rules/rules.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "recipes/job_json.hpp"
#include "recipes/rules/rule.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

std::vector<std::string> messages(const Job& job, const FieldNames& unknown = {}) {
  std::vector<std::string> all;
  for (const auto& violation : violations(job, unknown))
    all.push_back(violation.message);
  return all;
}

using Texts = std::vector<std::string>;

TEST_SUITE("recipes/rules") {
  TEST_CASE("a good job breaks no rule") {
    CHECK(messages(test::small_job()) == Texts{});
  }

  TEST_CASE("all violations come at once, ranges first") {
    auto job = test::small_job();
    job.layout.tp = 5;
    job.model.vocabulary = 265;
    job.model.kv_heads = 3;
    job.model.layers = 0;
    job.train.micro_batch = 3;
    const std::string uneven_kv_heads =
        "tp 5 and kv_heads 3: neither divides the other, so that key and value heads can be "
        "neither cut nor copied evenly";
    CHECK(messages(job) ==
          Texts{"model.layers = 0: it must be between 1 and 10000",
                "4 heads cannot be shared evenly by 3 key and value heads",
                "micro_batch 3 does not divide batch 8 (remainder 2)",
                "dp 2 does not divide micro_batch 3: every rank needs as many sequences",
                "tp 5 does not divide heads 4: every rank needs as many", uneven_kv_heads});
  }

  TEST_CASE("a violation names its code, its fields and the nearest legal values") {
    auto job = test::small_job();
    job.train.batch = 100;
    job.train.micro_batch = 30;
    const auto found = violations(job);
    REQUIRE(found.size() == 1);
    CHECK(found[0].code == "E0211");
    CHECK(found[0].fields == Texts{"train.micro_batch", "train.batch"});
    CHECK(found[0].help == "nearest micro_batch: 25 or 50; nearest batch: 90 or 120");
  }

  TEST_CASE("a rule on a field that is unknown or out of range is left out") {
    auto job = test::small_job();
    job.model.kv_heads = 3;
    CHECK(messages(job, {"model.heads"}) == Texts{});
    CHECK(messages(job, {"model.kv_heads"}) == Texts{});
    job.model.heads = 0;
    CHECK(messages(job) == Texts{"model.heads = 0: it must be between 1 and 16384"});
  }

  TEST_CASE("any numbers are judged without overflow or division by zero") {
    const auto good = test::small_job();
    constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    for (const auto& field : fields()) {
      CAPTURE(field.name);
      const auto try_value = [&](const FieldValue& value) {
        auto job = good;
        try {
          field.access.set(job, value);
        } catch (const std::invalid_argument&) {
          return;  // does not even fit the type
        }
        violations(job);
        CHECK(job_from_json(to_json(job)) == job);
      };
      if (field.access.type == FieldType::kInteger) {
        for (const auto number :
             {kLeast, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, kMost})
          try_value(number);
        try_value(static_cast<std::int64_t>(field.range.max));
      }
      if (field.access.type == FieldType::kIntegers)
        try_value(std::vector<std::int64_t>{kLeast, kMost, 0, 0});
      if (field.access.type == FieldType::kText) try_value(std::string(1000, '/'));
    }
  }

  TEST_CASE("all sizes at their most are too much together, and are said to be") {
    auto job = test::small_job();
    for (const auto& field : fields()) {
      if (field.name.starts_with("layout.") || field.access.type != FieldType::kInteger) continue;
      field.access.set(job, static_cast<std::int64_t>(field.range.max));
    }
    bool parameters = false, tokens = false;
    for (const auto& violation : violations(job)) {
      parameters = parameters || violation.code == "E0205";
      tokens = tokens || violation.code == "E0213";
    }
    CHECK(parameters);
    CHECK(tokens);
  }

  TEST_CASE("numbers that are none are out of every range") {
    auto job = test::small_job();
    job.model.moe_beta = std::numeric_limits<double>::quiet_NaN();
    job.optimizer.weight_decay = std::numeric_limits<double>::infinity();
    CHECK(messages(job) == Texts{"model.moe_beta = nan: it must be a finite number",
                                 "optimizer.weight_decay = inf: it must be at least 0"});
  }

  TEST_CASE("the nearest divisors and multiples stand on both sides") {
    CHECK(nearest_divisors(12, 5) == "4 or 6");
    CHECK(nearest_divisors(12, 6) == "6");
    CHECK(nearest_divisors(12, 99) == "12");
    CHECK(nearest_divisors(13, 5) == "1 or 13");
    CHECK(nearest_divisors(1, 1) == "1");
    CHECK(nearest_multiples(3, 8) == "6 or 9");
    CHECK(nearest_multiples(3, 9) == "9");
    CHECK(nearest_multiples(8, 3) == "8");
  }

  TEST_CASE("an empty run directory and an empty name are refused") {
    auto job = test::small_job();
    job.run_directory.clear();
    job.name.clear();
    const auto found = violations(job);
    REQUIRE(found.size() == 2);
    CHECK(found[0].code == "E0251");
    CHECK(found[1].code == "E0255");
  }
}

}  // namespace
}  // namespace fulgur
