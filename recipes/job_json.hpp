#pragma once

#include <string>
#include <vector>

#include "recipes/fields.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// A Job as text, for workers and checkpoints: one JSON object per section, with all fields, their keys
// sorted and without spaces, so that equal Jobs have equal texts.
//
// Real numbers are JSON strings with the shortest digits that read back exactly: a JSON reader may be off
// by a unit in the last place (Boost.JSON 1.81 is), and Jobs are compared by their text.
std::string to_json(const Job& job);

// The inverse. Throws std::invalid_argument naming the field that is missing, unknown or of the wrong
// type. Ranges and rules are not checked here but by violations() (recipes/rules/rules.hpp).
Job job_from_json(const std::string& text);

// SHA-256 in hex: of the whole text, and of the fields that a resume may not change.
std::string job_hash(const Job& job);
std::string identity_hash(const Job& job);

struct FieldDifference {
  std::string field;  // "train.batch"
  std::string a;
  std::string b;
  Category category = Category::kRuntime;
};

// The fields in which two Jobs differ, in the order of their declaration.
std::vector<FieldDifference> differences(const Job& a, const Job& b);

// Those that forbid to go on with `now` from what `then` has trained: of the identity, and not named in
// now.resume.allow_change.
std::vector<FieldDifference> forbidden_differences(const Job& then, const Job& now);

}  // namespace fulgur
