#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/comm/operation.hpp"

namespace fulgur {

// What became of the latest operations of all communicators of a rank. When a run stands still, the
// rank whose record lacks an operation that its peers have started is the one to look at.
//
// A ring of fixed length: the oldest record makes room for the newest. May be used from any thread;
// each call takes a lock for well under a microsecond.
class FlightRecorder {
 public:
  using Clock = std::chrono::steady_clock;
  enum class State : std::uint8_t { kQueued, kStarted, kDone, kFailed };

  struct Record {
    std::string group;
    std::uint64_t number = 0;  // as Operation::number
    OperationKind kind = OperationKind::kBarrier;
    int peer = -1;  // as Operation::peer
    std::string what;
    std::int64_t elements = 0;  // of the larger of in and out
    State state = State::kQueued;
    Clock::time_point queued;
    Clock::time_point started;  // the epoch of the clock until then
    Clock::time_point ended;    // the epoch of the clock until then
  };

  // Throws std::invalid_argument for a capacity of 0.
  explicit FlightRecorder(std::size_t capacity = 256);

  // The rank belongs to the group: from now on groups() has it.
  void joined(std::string_view group);

  // Returns the ticket with which the rest of the operation's life is told.
  std::uint64_t queued(std::string_view group, const Operation& operation);
  // A ticket whose record has been overwritten is ignored.
  void started(std::uint64_t ticket) noexcept;
  void ended(std::uint64_t ticket, State state) noexcept;

  // All records kept, oldest first.
  std::vector<Record> snapshot() const;

  // Where the rank stands: of the operations that have started and not ended the latest; if there
  // is none, the oldest that is still queued; if there is none either, nothing.
  std::optional<Record> last_unfinished() const;

  // What the rank has waited in for longest.
  std::optional<Record> oldest_started() const;

  // Every group that the rank belongs to, with the number of the latest collective that it has entered:
  // that has started. 0: none yet. Operations between two ranks do not count.
  std::map<std::string, std::uint64_t, std::less<>> groups() const;

  // For how long at least one operation was under way, in all.
  Clock::duration occupied() const;

 private:
  Record* find(std::uint64_t ticket) noexcept;  // REQUIRES mutex_

  mutable std::mutex mutex_;
  std::vector<Record> ring_;  // guarded by mutex_; ticket t lies at (t - 1) % ring_.size()
  std::uint64_t last_ = 0;    // guarded by mutex_; the latest ticket, 0 before the first
  std::map<std::string, std::uint64_t, std::less<>> groups_;  // guarded by mutex_
  int num_started_ = 0;             // guarded by mutex_; operations under way
  Clock::time_point busy_since_{};  // guarded by mutex_; when num_started_ left 0
  Clock::duration occupied_{};      // guarded by mutex_; without the time since busy_since_
};

std::string_view to_string(FlightRecorder::State state) noexcept;  // "started"

// "all_gather #12 (layer 3) of group cp: started"
std::string to_string(const FlightRecorder::Record& record);

}  // namespace fulgur
