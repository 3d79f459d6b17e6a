#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "recipes/cost/collectives.hpp"
#include "recipes/cost/hardware.hpp"
#include "recipes/cost/stream_schedule.hpp"

namespace fulgur {

// What the compute stream of a rank spends its time on.
enum class Part {
  kProducts,  // of matrices, but for experts
  kExperts,   // the products of experts
  kSoftmax,   // the cores of attention
  kLightning,
  kMemory,  // element-wise operations, which memory bounds
  kTp,      // collectives in the middle of its work
  kCpWait,  // waiting for what travels beside it
  kEpWait,
};
inline constexpr int kNumParts = 8;
const char* name_of(Part part);

// Bytes that a rank sends in a group, and in how many calls.
struct Traffic {
  double node_bytes = 0, network_bytes = 0, seconds = 0;
  double calls = 0;
};

// The time of a pass on one rank, and what it is made of.
struct PassTime {
  std::array<double, kNumParts> parts{};
  std::array<Traffic, kNumGroups> traffic{};

  double& operator[](Part part) { return parts[static_cast<std::size_t>(part)]; }
  double operator[](Part part) const { return parts[static_cast<std::size_t>(part)]; }
  Traffic& of(Group group) { return traffic[static_cast<std::size_t>(group)]; }
  const Traffic& of(Group group) const { return traffic[static_cast<std::size_t>(group)]; }
  void add(Group group, const CallCost& cost);
  double seconds() const;
  PassTime& operator+=(const PassTime& other);
  PassTime times(double count) const;
};

// How long operations take on a device.
struct Rates {
  const Hardware& hardware;
  Precision precision = Precision::kFloat32;

  double at_peak(double flops, double efficiency) const;
  double products(double flops) const { return at_peak(flops, hardware.efficiency.matmul); }
  // Of experts with `rows` rows each: their efficiency grows with the rows, M / (M + grouped_rows).
  double experts(double flops, double rows) const;
  double memory(double bytes) const;
};

// Queues the work of a pass on the streams of one rank, and says what it comes to.
class PassClock {
 public:
  explicit PassClock(const Rates& rates, const Layout& layout)
      : rates_(rates), layout_(layout), schedule_(kNumStreams) {}

  enum Stream { kCompute, kCp, kEp, kEtp };
  static constexpr int kNumStreams = 4;

  const Rates& rates() const { return rates_; }
  GroupShape shape(Group group) const {
    return group_shape(group, layout_, rates_.hardware.devices_per_node);
  }

  // Work on the compute stream, behind `after` of other streams. Return the task.
  int compute(Part part, double seconds, int after = -1);
  // A collective in the middle of it.
  int collective(Group group, const CallCost& cost, Part part = Part::kTp);
  // One beside it, behind two tasks.
  int beside(Stream stream, Group group, const CallCost& cost, int after, int also = -1);

  // All that was queued; the compute stream has ended.
  const PassTime& time() const { return time_; }

 private:
  Rates rates_;
  Layout layout_;
  StreamSchedule schedule_;
  PassTime time_;
};

}  // namespace fulgur
