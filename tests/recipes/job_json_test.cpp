#include "recipes/job_json.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "recipes/fields.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

// Another value of the same type than the one that is there.
FieldValue changed(const Field& field, const FieldValue& value) {
  if (field.access.type == FieldType::kChoice) {
    const auto& choices = field.access.choices;
    return std::string(choices.front() == std::get<std::string>(value) ? choices.back()
                                                                       : choices.front());
  }
  struct Change {
    FieldValue operator()(std::int64_t number) const { return number + 1; }
    FieldValue operator()(double number) const { return number + 0.1; }
    FieldValue operator()(const std::string& text) const { return text + "\"\\\n\xc3\xa9"; }
    FieldValue operator()(const std::vector<std::int64_t>&) const {
      return std::vector<std::int64_t>{3, 1};
    }
    FieldValue operator()(const std::vector<double>&) const { return std::vector<double>{0.1, 3}; }
    FieldValue operator()(const std::vector<std::string>&) const {
      return std::vector<std::string>{"x", "y z"};
    }
    FieldValue operator()(const std::vector<std::vector<double>>&) const {
      return std::vector<std::vector<double>>{{0.1, 3}, {}};
    }
    FieldValue operator()(const std::vector<std::vector<std::string>>&) const {
      return std::vector<std::vector<std::string>>{{"x", "y z"}, {}};
    }
  };
  return std::visit(Change{}, value);
}

TEST_SUITE("recipes/job_json") {
  TEST_CASE("every field of a job survives its JSON and changes its hash") {
    const auto job = test::small_job();
    CHECK(job_from_json(to_json(job)) == job);
    for (const auto& field : fields()) {
      CAPTURE(field.name);
      auto other = job;
      field.access.set(other, changed(field, field.access.get(job)));
      CHECK(other != job);
      CHECK(job_from_json(to_json(other)) == other);
      CHECK(job_hash(other) != job_hash(job));
      const bool identity = field.category == Category::kIdentity;
      CHECK((identity_hash(other) != identity_hash(job)) == identity);
      const auto differences = forbidden_differences(job, other);
      REQUIRE(differences.size() == (identity ? 1U : 0U));
      if (identity) CHECK(differences[0].field == field.name);
    }
  }

  TEST_CASE("real numbers come back to the last bit") {
    auto job = test::small_job();
    double value = 1;
    for (int i = 0; i < 2000; ++i) {
      value = std::fmod(value * 1.6180339887498949 + 1e-7, 10);
      job.model.moe_alpha = value * std::pow(10.0, i % 41 - 20);
      CHECK(job_from_json(to_json(job)).model.moe_alpha == job.model.moe_alpha);
    }
    for (const double extreme :
         {std::numeric_limits<double>::max(), std::numeric_limits<double>::min(),
          std::numeric_limits<double>::denorm_min(), -0.0}) {
      job.model.moe_alpha = extreme;
      CHECK(job_from_json(to_json(job)).model.moe_alpha == extreme);
    }
  }

  TEST_CASE("the JSON survives a reader and writer of JSON") {
    const auto job = test::small_job();
    const auto again = boost::json::serialize(boost::json::parse(to_json(job)));
    CHECK(again == to_json(job));
  }

  // When a field is added or renamed, these change, and a resume refuses every older checkpoint: put
  // the new values here only when that is meant.
  TEST_CASE("the hashes of a job are what they were in earlier versions") {
    Job job;
    job.name = "x";
    CHECK(job_hash(job) == "953968c4cdde2dbcb1162a3f8a7084f5469f67a2566734ae18aa54055683ca86");
    CHECK(identity_hash(job) == "714cf1b55fbb94951866066711c050dd18b6ae17ef6d78131ffe29b656dc2655");
  }

  TEST_CASE("keys are sorted on every level") {
    const auto text = to_json(test::small_job());
    CHECK(text.starts_with(
        R"({"checkpoint":{"every":0,"keep":2},"cluster":{"address":"","comm_timeout":"300",)"));
  }

  TEST_CASE("what a resume may change leaves the identity alone, batch and seed do not") {
    const auto job = test::small_job();
    auto other = job;
    other.layout.dp = 1;
    other.train.steps = 40;
    other.data.files = {"/elsewhere"};
    CHECK(identity_hash(other) == identity_hash(job));
    other.train.batch = 16;
    other.optimizer.learning_rate.peak = 2e-3;
    const auto forbidden = forbidden_differences(job, other);
    REQUIRE(forbidden.size() == 2);
    CHECK(forbidden[0].field == "train.batch");
    CHECK(forbidden[0].a == "8");
    CHECK(forbidden[0].b == "16");
    CHECK(forbidden[1].a == "0.001");
    CHECK(differences(job, other).size() == 5);
    other.resume.allow_change = {"train.batch"};
    REQUIRE(forbidden_differences(job, other).size() == 1);
    CHECK(forbidden_differences(job, other)[0].field == "optimizer.learning_rate.peak");
    other.resume.allow_change.push_back("optimizer.learning_rate.peak");
    CHECK(forbidden_differences(job, other).empty());
    CHECK_FALSE(forbidden_differences(other, job).empty());  // only the new recipe can allow it
  }

  TEST_CASE("a text that is no complete job is refused by the field that is wrong") {
    CHECK_THROWS_WITH_AS(job_from_json(R"({"model":{"depth":4}})"),
                         "a Job has no field model.depth", std::invalid_argument);
    CHECK_THROWS_WITH_AS(job_from_json("{}"), "the Job lacks its field name",
                         std::invalid_argument);
    auto text = to_json(test::small_job());
    const std::string steps = R"("steps":20)";
    for (const auto* bad :
         {R"("steps":"20")", R"("steps":2.5)", R"("steps":null)", R"("steps":{"a":1})",
          R"("steps":18446744073709551615)", R"("steps":[20])"}) {
      CAPTURE(bad);
      auto broken = text;
      broken.replace(broken.find(steps), steps.size(), bad);
      CHECK_THROWS_AS(job_from_json(broken), std::invalid_argument);
    }
    for (const auto* bad : {"", "[]", "null", "{", "{}x"})
      CHECK_THROWS_AS(job_from_json(bad), std::invalid_argument);
  }

  TEST_CASE("an axis that is no int is refused and not cut off") {
    auto text = to_json(test::small_job());
    const std::string dp = R"("dp":2)";
    text.replace(text.find(dp), dp.size(), R"("dp":4294967298)");
    CHECK_THROWS_AS(job_from_json(text), std::invalid_argument);
  }
}

}  // namespace
}  // namespace fulgur
