#pragma once

#include <array>
#include <concepts>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "recipes/fields.hpp"

namespace fulgur {

// The texts of an enum's values, in the order of its enumerators, which count from 0.
template <class E>
inline constexpr std::array<std::string_view, 0> kChoiceNames{};
template <>
inline constexpr std::array<std::string_view, 3> kChoiceNames<DeviceKind> = {"auto", "cpu", "cuda"};
template <>
inline constexpr std::array<std::string_view, 3> kChoiceNames<Transport> = {"auto", "nccl", "ucx"};
template <>
inline constexpr std::array<std::string_view, 4> kChoiceNames<ClusterKind> = {
    "local", "ssh", "slurm", "kubernetes"};
template <>
inline constexpr std::array<std::string_view, 3> kChoiceNames<Preflight> = {"auto", "always",
                                                                            "never"};
template <>
inline constexpr std::array<std::string_view, 2> kChoiceNames<CudaGraphs> = {"auto", "never"};
template <>
inline constexpr std::array<std::string_view, 2> kChoiceNames<AuxLoss> = {"gshard", "mixtral"};
template <>
inline constexpr std::array<std::string_view, 2> kChoiceNames<WeightDecayOn> = {"matrices", "all"};
template <>
inline constexpr std::array<std::string_view, 2> kChoiceNames<ContextOrder> = {"zigzag",
                                                                               "contiguous"};
template <>
inline constexpr std::array<std::string_view, 2> kChoiceNames<LightningContext> = {"lasp_plus",
                                                                                   "lasp"};
template <>
inline constexpr std::array<std::string_view, 3> kChoiceNames<PipelineSchedule> = {
    "1f1b", "interleaved", "zero_bubble"};
template <>
inline constexpr std::array<std::string_view, 2> kChoiceNames<Precision> = {"float32", "bfloat16"};
template <>
inline constexpr std::array<std::string_view, 3> kChoiceNames<Recompute> = {"none", "selective",
                                                                            "full"};

namespace access {

// The member that a chain of pointers to members leads to: follow<&Job::model, &ModelSpec::heads>(job).
template <auto... Path>
auto& follow(auto& job) {
  return (job.*....*Path);
}

template <auto... Path>
using MemberOf = std::remove_reference_t<decltype(follow<Path...>(std::declval<Job&>()))>;

template <class T>
constexpr FieldType type_of() {
  if constexpr (std::is_enum_v<T>)
    return FieldType::kChoice;
  else if constexpr (std::integral<T>)
    return FieldType::kInteger;
  else if constexpr (std::floating_point<T>)
    return FieldType::kReal;
  else if constexpr (std::same_as<T, std::string>)
    return FieldType::kText;
  else if constexpr (std::same_as<T, std::vector<std::int64_t>>)
    return FieldType::kIntegers;
  else if constexpr (std::same_as<T, std::vector<double>>)
    return FieldType::kReals;
  else if constexpr (std::same_as<T, std::vector<std::vector<double>>>)
    return FieldType::kRealLists;
  else if constexpr (std::same_as<T, std::vector<std::vector<std::string>>>)
    return FieldType::kTextLists;
  else
    return FieldType::kTexts;
}

template <class T>
const T& expect(const FieldValue& value) {
  if (const auto* held = std::get_if<T>(&value)) return *held;
  throw std::invalid_argument("a value of another type");
}

template <class E>
E to_enum(const std::string& text) {
  const auto& names = kChoiceNames<E>;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<E>(i);
  }
  throw std::invalid_argument("`" + text + "` is none of the choices");
}

template <auto... Path>
FieldValue get(const Job& job) {
  using T = MemberOf<Path...>;
  const auto& member = follow<Path...>(job);
  if constexpr (std::is_enum_v<T>) {
    return std::string(kChoiceNames<T>[static_cast<std::size_t>(member)]);
  } else if constexpr (std::integral<T>) {
    return static_cast<std::int64_t>(member);
  } else {
    return member;
  }
}

template <auto... Path>
void set(Job& job, const FieldValue& value) {
  using T = MemberOf<Path...>;
  auto& member = follow<Path...>(job);
  if constexpr (std::is_enum_v<T>) {
    member = to_enum<T>(expect<std::string>(value));
  } else if constexpr (std::integral<T>) {
    const auto number = expect<std::int64_t>(value);
    if (!std::in_range<T>(number)) throw std::invalid_argument("an integer that does not fit");
    member = static_cast<T>(number);
  } else {
    member = expect<T>(value);
  }
}

template <class T>
constexpr std::span<const std::string_view> choices_of() {
  if constexpr (std::is_enum_v<T>)
    return kChoiceNames<T>;
  else
    return {};
}

}  // namespace access

template <auto... Path>
inline constexpr FieldAccess kMember = {access::type_of<access::MemberOf<Path...>>(),
                                        access::get<Path...>, access::set<Path...>,
                                        access::choices_of<access::MemberOf<Path...>>()};

}  // namespace fulgur
