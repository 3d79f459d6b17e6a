#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/fields.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// A rule that a Job breaks.
struct Violation {
  std::string code;                 // of diagnostic_codes()
  std::string message;              // with the numbers
  std::vector<std::string> fields;  // dotted names of all fields that took part, the main one first
  std::string help;                 // the nearest legal values, where there are some
};

using FieldNames = std::set<std::string, std::less<>>;

// Everything that is wrong with a job: fields out of range in their order, then the rules between
// fields. The coordinator calls it before it launches anything, each worker before it starts.
//
// Rules that look at a field in `unknown`, or at one that is out of range, are left out, so that one
// mistake makes one message. Needs no file; works for any numbers.
std::vector<Violation> violations(const Job& job, const FieldNames& unknown = {});

// Whether the value of one field lies in its range.
std::vector<Violation> range_violations(const Field& field, const Job& job);

// The vocabulary of a tokenizer; 0 when there is none of that name.
std::int64_t tokenizer_vocabulary(std::string_view tokenizer) noexcept;

}  // namespace fulgur
