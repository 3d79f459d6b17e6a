#pragma once

#include <chrono>
#include <cstdint>
#include <map>
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

// The collective that a worker waits in.
struct Waiting {
  std::string group;  // empty: in none
  std::int64_t number = 0;
  TimePoint since{};
};

struct WorkerState {
  bool joined = false;     // has passed the handshake
  bool connected = false;  // its control connection is open
  TimePoint last_seen{};   // the latest message, from the assignment on
  std::string section;     // of its latest sign of life
  std::string collective;
  std::int64_t memory = 0;    // bytes that it has occupied at most
  TimePoint section_since{};  // when it entered its section
  Waiting waiting;            // as its latest sign of life has it
  std::map<std::string, std::int64_t, std::less<>>
      groups;                         // the latest collective it entered of each
  double computing = 0;               // seconds outside of collectives, until its section began
  double step_computing = 0;          // seconds a step, smoothed
  int num_steps = 0;                  // that went into step_computing
  bool straggles = false;             // which was told
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
    kHung,       // lives, and has not left its section in time
    kHungUp,     // closed its control connection and lives on
    kNotJoined,  // did not come to the control port
    kSignal,     // the user wants out at once
    kStopped,    // a stop was asked for before the first step: there is nothing to save
  };
  Kind kind = Kind::kDied;
  int rank = -1;   // not for kSignal and kStopped
  int signal = 0;  // kSignal
};

enum class RunPhase { kStarting, kWorking, kAborting, kEnded };

struct RunState {
  RunPhase phase = RunPhase::kStarting;
  std::vector<WorkerState> workers;  // [world]
  bool stop_requested = false;
  TimePoint stop_since{};
  bool any_step = false;  // of this attempt is done
  std::optional<Cause> cause;
  TimePoint cause_at{};  // when it was decided on
  // A failure that may be the echo of another one, which is on its way: it becomes the cause at
  // decide_at unless that one shows up.
  std::optional<Cause> suspicion;
  TimePoint decide_at{};
  TimePoint started{};
  TimePoint last_tick{};
  int attempt = 1;
  std::int64_t newest_commit = 0;  // the step of the newest checkpoint that was decided on
  std::vector<Duration> steps;     // how long the latest steps took, oldest first
  TimePoint step_done{};           // the end of the latest
  int num_steps = 0;               // since the start, or since steps became others
};

// The state of an attempt that goes on from the checkpoint of step `from`, 0: from none.
RunState initial_state(int world, TimePoint now, int attempt = 1, std::int64_t from = 0);

struct Limits {
  Duration join = std::chrono::seconds(60);
  Duration dead_after = std::chrono::seconds(5);
  Duration settle = std::chrono::seconds(2);  // how long a suspicion waits
  // How long a worker may stay in a section; zero: for ever. `step` zero: what the steps before tell.
  Duration setup{};
  Duration step{};
  Duration checkpoint{};
  Duration
      stop{};  // from the request to stop to the end of a run that has done no step; zero: for ever
};

// The time-out of a step when none is given: five times the 99th percentile of those that were seen, and at
// least 30 s; `setup` before the second step is done.
Duration step_limit(const RunState& state, const Limits& limits);

namespace event {
// Somebody has proved that it belongs to the run, and says which rank of which attempt it is.
struct Joined {
  int rank;
  int attempt = 1;
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
struct StepEnded {
  bool next_differs = false;  // the steps behind it are of another phase
};
// All ranks have told what became of their shards of a checkpoint.
struct ShardsTold {
  std::int64_t step;
  std::string failure = {};  // why it cannot be committed; empty: it can
};
struct Tick {};  // now and then
}  // namespace event

using Event = std::variant<event::Joined, event::SignOfLife, event::Position, event::WorkFailed,
                           event::WorkDone, event::Disconnected, event::Exited, event::Signal,
                           event::StopAsked, event::StepEnded, event::ShardsTold, event::Tick>;

struct Action {
  enum class Kind {
    kAssign,     // tell all workers what to do
    kStop,       // tell all workers to checkpoint and stop
    kAbort,      // end all workers
    kEnd,        // every worker is gone: the attempt is over
    kRefuse,     // shut the door on who has joined: the rank is not its own
    kCommit,     // the checkpoint of `step`
    kDrop,       // it
    kStraggler,  // tell that `rank` holds the others up
  };
  Kind kind = Kind::kAssign;
  std::string reason;  // for people; not empty but for kAssign
  int rank = -1;
  std::int64_t step = 0;
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

// Why a worker that says it is this rank of this attempt is to be refused; empty: it is not.
std::string refusal(const RunState& state, int rank, int attempt);

// What `fulgur` exits with when the state has kEnded.
int exit_code(const RunState& state);

}  // namespace fulgur
