#include "runtime/comm/flight_recorder.hpp"

#include <algorithm>
#include <stdexcept>

namespace fulgur {

FlightRecorder::FlightRecorder(std::size_t capacity) : ring_(capacity) {
  if (capacity == 0) throw std::invalid_argument("FlightRecorder: capacity: expected at least 1");
}

std::uint64_t FlightRecorder::queued(std::string_view group, const Operation& operation) {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  Record& record = ring_[last_ % ring_.size()];
  if (record.state == State::kStarted && --num_started_ == 0)  // it makes room unfinished
    occupied_ += now - busy_since_;
  record.group = group;
  record.number = operation.number;
  record.kind = operation.kind;
  record.peer = operation.peer;
  record.what = operation.what;
  record.elements = operation.kind == OperationKind::kBarrier
                        ? 0
                        : std::max(operation.in.data == nullptr ? 0 : operation.in.count(),
                                   operation.out.data == nullptr ? 0 : operation.out.count());
  record.state = State::kQueued;
  record.queued = now;
  record.started = {};
  record.ended = {};
  return ++last_;
}

FlightRecorder::Record* FlightRecorder::find(std::uint64_t ticket) noexcept {
  const bool kept = ticket != 0 && ticket <= last_ && last_ - ticket < ring_.size();
  return kept ? &ring_[(ticket - 1) % ring_.size()] : nullptr;
}

void FlightRecorder::started(std::uint64_t ticket) noexcept {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  Record* record = find(ticket);
  if (record == nullptr) return;
  if (record->state == State::kQueued && num_started_++ == 0) busy_since_ = now;
  record->state = State::kStarted;
  record->started = now;
  if (record->kind == OperationKind::kSend || record->kind == OperationKind::kRecv) return;
  const auto group = groups_.find(record->group);
  if (group != groups_.end()) group->second = std::max(group->second, record->number);
}

void FlightRecorder::ended(std::uint64_t ticket, State state) noexcept {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  Record* record = find(ticket);
  if (record == nullptr) return;
  if (record->state == State::kStarted && --num_started_ == 0) occupied_ += now - busy_since_;
  record->state = state;
  record->ended = now;
}

void FlightRecorder::joined(std::string_view group) {
  const std::lock_guard lock(mutex_);
  groups_.emplace(group, 0);
}

std::map<std::string, std::uint64_t, std::less<>> FlightRecorder::groups() const {
  const std::lock_guard lock(mutex_);
  return groups_;
}

FlightRecorder::Clock::duration FlightRecorder::occupied() const {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  return num_started_ > 0 ? occupied_ + (now - busy_since_) : occupied_;
}

std::vector<FlightRecorder::Record> FlightRecorder::snapshot() const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t kept = std::min<std::uint64_t>(last_, ring_.size());
  std::vector<Record> records;
  records.reserve(kept);
  for (std::uint64_t ticket = last_ - kept; ticket < last_; ++ticket)
    records.push_back(ring_[ticket % ring_.size()]);
  return records;
}

std::optional<FlightRecorder::Record> FlightRecorder::last_unfinished() const {
  std::optional<Record> oldest_queued;
  std::optional<Record> latest_started;
  for (auto& record : snapshot()) {
    if (record.state == State::kStarted &&
        (!latest_started || record.started >= latest_started->started)) {
      latest_started = record;
    }
    if (record.state == State::kQueued && !oldest_queued) oldest_queued = record;
  }
  return latest_started ? latest_started : oldest_queued;
}

std::optional<FlightRecorder::Record> FlightRecorder::oldest_started() const {
  std::optional<Record> oldest;
  for (auto& record : snapshot()) {
    if (record.state == State::kStarted && (!oldest || record.started < oldest->started))
      oldest = std::move(record);
  }
  return oldest;
}

std::string_view to_string(FlightRecorder::State state) noexcept {
  switch (state) {
    case FlightRecorder::State::kQueued:
      return "queued";
    case FlightRecorder::State::kStarted:
      return "started";
    case FlightRecorder::State::kDone:
      return "done";
    case FlightRecorder::State::kFailed:
      return "failed";
  }
  return "unknown";
}

std::string to_string(const FlightRecorder::Record& record) {
  Operation operation;
  operation.kind = record.kind;
  operation.number = record.number;
  operation.what = record.what;
  std::string text = describe(operation, record.group);
  text += ": ";
  text += to_string(record.state);
  return text;
}

}  // namespace fulgur
