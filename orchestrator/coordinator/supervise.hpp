#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "orchestrator/coordinator/decide.hpp"

namespace fulgur {

// What becomes of a run when an attempt has ended: a pure function, as decide() is for what happens within an
// attempt. An attempt is one generation of workers; its number only ever grows, within a process and over the
// processes that work on one run directory, and what comes with an older number is refused.

// A layout that the run may go on with.
struct LayoutChoice {
  int dp = 1;
  int workers = 1;
};

// A place for workers. Without any the layout fits always (this machine).
struct NodeSlots {
  std::string name;
  int slots = 1;
};

struct SupervisionRules {
  int restarts = 5;  // in `per`
  Duration per = std::chrono::hours(24);
  int no_progress = 3;  // attempts in a row without a new checkpoint
  std::vector<LayoutChoice>
      layouts;  // the one that is wanted first, then ever smaller ones; not empty
  std::vector<NodeSlots> nodes;
};

struct SupervisionState {
  int attempt = 0;         // that runs or ran last
  std::size_t layout = 0;  // of rules.layouts, that it has
  bool running = false;
  bool grows = false;                     // it was asked to stop for a larger layout
  int fruitless = 0;                      // failures in a row without a new checkpoint
  std::vector<TimePoint> restarts;        // after failures, within `per`
  std::map<std::string, TimePoint> lost;  // nodes, and since when
};

namespace event {
struct RunBegins {
  int attempts_before = 0;  // of earlier processes on the run directory
};
struct AttemptEnded {
  int exit_code = 0;
  bool worth_repeating = false;  // the failure may not come again
  bool stop_asked = false;       // by the user
  bool next_layout = false;      // its phase is over, and the next has another layout
  bool new_checkpoint = false;   // one was committed
  std::vector<std::string> lost_nodes = {};
};
struct NodeBack {  // a lost node answers again
  std::string name;
};
}  // namespace event

using SupervisionEvent = std::variant<event::RunBegins, event::AttemptEnded, event::NodeBack>;

struct SupervisionAction {
  enum class Kind {
    kNothing,
    kStart,  // workers, from the newest sound checkpoint, as `attempt`
    kStop,   // ask the workers for a checkpoint and to stop: a larger layout is possible
    kEnd,    // the run, with exit_code
  };
  Kind kind = Kind::kNothing;
  std::string reason;  // for people
  int exit_code = 0;
  int attempt = 0;
  std::size_t layout = 0;             // of rules.layouts
  std::vector<std::string> excluded;  // nodes that are not to be used
  Duration pause{};                   // before the start
};

struct Supervision {
  SupervisionState state;
  SupervisionAction action;
};

// A failure is answered by another attempt, unless it would come again (bad data, a diverged loss, a full disk), the user has
// asked for a stop, rules.no_progress attempts in a row made no checkpoint (exit code 93; 69 when nodes were the
// cause), or the budget of restarts is used up (the attempt's own exit code). A lost node is left out from then
// on; its workers go to spare slots; where there are none, the first layout that fits is taken; when none fits,
// the lost nodes are tried again. Repeated failures are answered ever later, up to half a minute.
Supervision supervise(SupervisionState state, const SupervisionEvent& event, TimePoint now,
                      const SupervisionRules& rules);

// Whether the same failure may stay away the next time.
bool is_worth_repeating(const RunState& state);

}  // namespace fulgur
