#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "recipes/fields.hpp"

namespace fulgur {

// Why a text is not the number that a field wants.
struct ScalarError {
  std::string code;     // E0109 or E0110
  std::string message;  // continues "`train.steps` "
  std::string help;
};

// A number with the kind that its unit gives it: kNone, kTokens, kBytes or kSeconds.
struct Quantity {
  double value = 0;
  Unit unit = Unit::kNone;
};
std::variant<Quantity, ScalarError> parse_quantity(std::string_view text);

// The length of the number at the front: sign, digits, fraction, exponent; 0 when there is none.
std::size_t number_length(std::string_view text);

// "a number of tokens".
std::string_view kind_of(Unit unit);

// Numbers as YAML 1.2 writes them, in decimal, with the units of the field: "2M", "512Ki tokens", "1.5k",
// "1e-4", "5s". k, M, G, T are powers of 1000, Ki, Mi, Gi, Ti of 1024; times come out in seconds. A
// number with a leading 0 is refused: YAML 1.1 reads it as octal.
std::variant<std::int64_t, ScalarError> parse_integer(std::string_view text, Unit unit);
std::variant<double, ScalarError> parse_real(std::string_view text, Unit unit);

}  // namespace fulgur
