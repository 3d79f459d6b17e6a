#pragma once

#include <compare>
#include <cstdint>

namespace fulgur {

// A value of type T that cannot be mixed up with another named value.
//
//   using Rank = Named<int, struct RankTag>;
//   using Step = Named<std::int64_t, struct StepTag>;
//   Rank{3} == Step{3};   // does not compile
template <class T, class Tag>
class Named {
 public:
  constexpr Named() = default;
  constexpr explicit Named(T value) : value_(value) {}
  constexpr T value() const { return value_; }
  friend constexpr auto operator<=>(const Named&, const Named&) = default;

 private:
  T value_{};
};

using Rank = Named<int, struct RankTag>;           // position in the world, 0 <= rank < world size
using Step = Named<std::int64_t, struct StepTag>;  // optimizer steps done

}  // namespace fulgur
