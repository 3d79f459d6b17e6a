#include "worker/position.hpp"

#include <fmt/format.h>

#include <chrono>

namespace fulgur {
namespace {

double seconds(FlightRecorder::Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

bool is_between_two(const FlightRecorder::Record& record) {
  return record.kind == OperationKind::kSend || record.kind == OperationKind::kRecv;
}

}  // namespace

void fill_position(Heartbeat& beat, const FlightRecorder& recorder) {
  static const auto kStart = FlightRecorder::Clock::now();
  if (const auto record = recorder.last_unfinished()) beat.collective = to_string(*record);
  if (const auto waits = recorder.oldest_started()) {
    beat.collective = to_string(*waits);
    beat.waited = seconds(FlightRecorder::Clock::now() - waits->started);
    if (!is_between_two(*waits)) {
      beat.group = waits->group;
      beat.number = static_cast<std::int64_t>(waits->number);
    }
  }
  for (const auto& [group, number] : recorder.groups())
    beat.groups.push_back(fmt::format("{} {}", number, group));
  beat.computing = seconds(FlightRecorder::Clock::now() - kStart - recorder.occupied());
}

}  // namespace fulgur
