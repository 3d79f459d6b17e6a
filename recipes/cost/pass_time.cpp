#include "recipes/cost/pass_time.hpp"

#include <numeric>

namespace fulgur {

const char* name_of(Part part) {
  static constexpr const char* kNames[kNumParts] = {
      "products of matrices", "experts",
      "softmax attention",    "lightning attention",
      "memory-bound work",    "tensor-parallel collectives",
      "waits for cp",         "waits for experts' rows"};
  return kNames[static_cast<int>(part)];
}

void PassTime::add(Group group, const CallCost& cost) {
  if (cost.seconds == 0) return;
  auto& sum = of(group);
  sum.node_bytes += cost.node_bytes;
  sum.network_bytes += cost.network_bytes;
  sum.seconds += cost.seconds;
  sum.calls += cost.calls;
}

double PassTime::seconds() const {
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

PassTime& PassTime::operator+=(const PassTime& other) {
  for (std::size_t i = 0; i < parts.size(); ++i)
    parts[i] += other.parts[i];
  for (std::size_t i = 0; i < traffic.size(); ++i) {
    traffic[i].node_bytes += other.traffic[i].node_bytes;
    traffic[i].network_bytes += other.traffic[i].network_bytes;
    traffic[i].seconds += other.traffic[i].seconds;
    traffic[i].calls += other.traffic[i].calls;
  }
  return *this;
}

PassTime PassTime::times(double count) const {
  auto result = *this;
  for (auto& part : result.parts)
    part *= count;
  for (auto& each : result.traffic) {
    each.node_bytes *= count;
    each.network_bytes *= count;
    each.seconds *= count;
    each.calls *= count;
  }
  return result;
}

double Rates::at_peak(double flops, double efficiency) const {
  return hardware.launch + flops / (hardware.peak(precision) * efficiency);
}

double Rates::experts(double flops, double rows) const {
  const double filled = rows / (rows + hardware.grouped_rows);
  return at_peak(flops, hardware.efficiency.grouped_matmul * filled);
}

double Rates::memory(double bytes) const {
  return hardware.launch + bytes / (hardware.memory_bandwidth * hardware.efficiency.memory);
}

int PassClock::compute(Part part, double seconds, int after) {
  const int number = schedule_.add(kCompute, seconds, {&after, 1});
  time_[part] += seconds;
  const auto& task = schedule_.task(number);
  if (task.waited > 0)
    time_[task.waited_stream == kCp ? Part::kCpWait : Part::kEpWait] += task.waited;
  return number;
}

int PassClock::collective(Group group, const CallCost& cost, Part part) {
  time_.add(group, cost);
  return compute(part, cost.seconds);
}

int PassClock::beside(Stream stream, Group group, const CallCost& cost, int after, int also) {
  time_.add(group, cost);
  const std::array<int, 2> both{after, also};
  return schedule_.add(stream, cost.seconds, both);
}

}  // namespace fulgur
