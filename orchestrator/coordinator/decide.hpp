#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/launch/child_process.hpp"
#include "cluster/wire/messages.hpp"

namespace fulgur {

// What the coordinator does about what happens to its workers: a pure function, so that every course of
// events can be tested. Sockets, processes and clocks are the Coordinator's (coordinator.hpp).

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

struct WorkerState {
  bool joined = false;     // has passed the handshake
  bool connected = false;  // its control connection is open
  TimePoint last_seen{};   // the latest message, from the assignment on
  std::string section;     // of its latest sign of life
  std::string collective;
  std::int64_t memory = 0;            // bytes that it has occupied at most
  std::optional<ExitStatus> exit;     // the process has ended
  std::string lost;                   // with its node, and why; empty: it was not
  std::optional<Failed> failure;      // what it said before it ended
  std::optional<std::string> result;  // of its work (Done)
};

// Why a run ends early.
struct Cause {
  enum class Kind {
    kDied,       // the process ended with work to do
    kFailed,     // its work threw
    kSilent,     // no sign of life for dead_after
    kHungUp,     // closed its control connection and lives on
    kNotJoined,  // did not come to the control port
    kSignal,     // the user wants out at once
  };
  Kind kind = Kind::kDied;
  int rank = -1;   // not for kSignal
  int signal = 0;  // kSignal
};

enum class RunPhase { kStarting, kWorking, kAborting, kEnded };

struct RunState {
  RunPhase phase = RunPhase::kStarting;
  std::vector<WorkerState> workers;  // [world]
  bool stop_requested = false;
  std::optional<Cause> cause;
  // A failure that may be the echo of another one, which is on its way: it becomes the cause at
  // decide_at unless that one shows up.
  std::optional<Cause> suspicion;
  TimePoint decide_at{};
  TimePoint started{};
  TimePoint last_tick{};
};

RunState initial_state(int world, TimePoint now);

struct Limits {
  Duration join = std::chrono::seconds(60);
  Duration dead_after = std::chrono::seconds(5);
  Duration settle = std::chrono::seconds(2);  // how long a suspicion waits
};

namespace event {
struct Joined {
  int rank;
};
struct SignOfLife {  // any message
  int rank;
};
struct Position {  // a Heartbeat says where the worker is
  int rank;
  Heartbeat heartbeat;
};
struct WorkFailed {
  int rank;
  Failed failure;
};
struct WorkDone {
  int rank;
  std::string result;
};
struct Disconnected {
  int rank;
};
struct Exited {
  int rank;
  ExitStatus status;
  std::string lost = {};  // why its node is lost; empty: the process has ended
};
struct Signal {  // to the coordinator itself
  int number;
};
struct StopAsked {};  // by a worker that got a signal
struct Tick {};       // now and then
}  // namespace event

using Event = std::variant<event::Joined, event::SignOfLife, event::Position, event::WorkFailed,
                           event::WorkDone, event::Disconnected, event::Exited, event::Signal,
                           event::StopAsked, event::Tick>;

enum class Action {
  kAssign,  // tell all workers what to do
  kStop,    // tell all workers to checkpoint and stop
  kAbort,   // end all workers
  kEnd,     // every worker is gone: the run is over
};

struct Decision {
  RunState state;
  std::vector<Action> actions;  // in order
};

// The root of a failure is what the user must see, not its echoes. A killed rank makes its peers fail in
// their collectives at once, and their messages can be here first; so a failed collective only raises a
// suspicion. A worker's end is judged when its process and its connection have both ended, so that its
// last words have been read.
//
// After a pause of the coordinator itself (a suspended machine) no worker is called silent for it.
Decision decide(RunState state, const Event& event, TimePoint now, const Limits& limits);

// Whether the workers have ended because the next phase has another layout.
bool ends_for_next_layout(const RunState& state);

// What `fulgur` exits with when the state has kEnded.
int exit_code(const RunState& state);

}  // namespace fulgur
