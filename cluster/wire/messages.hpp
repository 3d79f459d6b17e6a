#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fulgur {

// The messages of the control connection; docs/formats/wire.md says who sends which, and when.

inline constexpr std::string_view kWireMagic = "fulgur";
inline constexpr int kWireVersion = 1;

// The handshake (cluster/wire/handshake.hpp). Nonces and proofs are hex.
struct Hello {
  std::string magic;
  std::int64_t version = 0;
  std::string run_id;
  std::int64_t attempt = 0;
  std::int64_t rank = 0;
  std::string nonce;
};
struct Challenge {
  std::string nonce;
  std::string proof;
};
struct Proof {
  std::string proof;
};
// Instead of a Challenge: the connection is closed behind it.
struct Refused {
  std::string reason;
};

// Coordinator to worker: what to do. Paths that a task does not need are empty.
struct Assignment {
  std::string
      task;  // "train", "measure", "record", "generate", "import_hf", "export_hf", "doctor",
             // "preflight"
  std::int64_t rank = 0;
  std::int64_t world = 0;
  std::int64_t attempt = 0;
  std::string job;          // JSON of the Job
  std::string checkpoint;   // to resume from, generate from or export
  std::string source;       // import: the folder to read; record: the checkpoints of the reference
  std::string destination;  // import: the run directory; export: the folder to write
};

// The table of runtime/comm/store.hpp. Values are hex, because they may be any bytes.
struct StoreSet {
  std::string key;
  std::string value;
};
struct StoreGet {
  std::string key;
};
struct StoreValue {
  std::string key;
  std::string value;
};

// Done::result of training that ends because the next phase has another layout.
inline constexpr std::string_view kDoneForNextLayout = "next layout";

// Worker to coordinator.
struct Heartbeat {
  std::string section;
  std::string collective;   // where the rank stands, empty: in none
  std::int64_t memory = 0;  // bytes that it has occupied at most so far, 0: not known yet
  // The collective that it waits in, and for how long: the name of its group is empty when there is none.
  std::string group;
  std::int64_t number = 0;
  double waited = 0;  // seconds
  // "<number> <group>" for every group that it belongs to: the latest collective that it has entered.
  std::vector<std::string> groups;
  double computing = 0;  // seconds since its start outside of collectives
};
// The GPU that the rank works on.
struct OnGpu {
  std::string name;  // "NVIDIA H200"
};
struct StepDone {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  double loss = 0;
  double aux_loss = 0;
  double gradient_norm = 0;
  double learning_rate = 0;
  double seconds = 0;
  double tokens_per_second = 0;
  double drop_rate = 0, local_drop_rate = 0;
  std::int64_t replayed = 0;                // in parity: tokens that took the reference's choice
  std::vector<std::int64_t> expert_counts;  // layer after layer
};
struct ShardWritten {
  std::int64_t step = 0;
  std::string sha256;  // of shard-<rank>.json beside the shard, which says what is in it
};
struct ShardFailed {
  std::int64_t step = 0;
  std::string reason;
};
struct Print {
  std::string text;
};
// This worker got a signal that asks for a stop.
struct StopRequested {
  std::int64_t signal = 0;
};
// The worker's work ended in an error; it exits next.
struct Failed {
  std::string kind;  // "data", "checkpoint", "disk", "recipe", "diverged", "comm", "other"
  std::string message;
};
// The worker's work is done; it exits next.
struct Done {
  std::string result;  // "complete", "stopped", kDoneForNextLayout
};

// Coordinator to worker.
struct Committed {
  std::int64_t step = 0;
  bool ok = false;
};
struct Stop {};
struct Abort {
  std::string reason;
};

// Between the coordinator's launcher and the agent of a node (cluster/launch/agent.hpp), on a connection of
// their own.

// Agent to launcher, first: it is there.
struct NodeReady {
  std::string host;
  std::int64_t pid = 0;
};
// Launcher to agent: start the workers of these ranks. They get the secret that the agent has.
struct StartWorkers {
  std::string run_id;
  std::int64_t attempt = 0;
  std::int64_t world = 0;
  std::int64_t first_rank = 0;
  std::int64_t ranks = 0;  // how many, from first_rank on
  std::int64_t node = 0;
  std::int64_t nodes = 0;
  std::int64_t port = 0;                 // of the coordinator, at the address that the agent has
  std::string directory;                 // to work in
  std::vector<std::string> environment;  // "NAME=value" on top of the agent's
};
// Launcher to agent: send a signal to the worker of a rank, or to all when it is negative.
struct SignalWorkers {
  std::int64_t rank = -1;
  std::int64_t signal = 0;
};
// Agent to launcher.
struct WorkerStarted {
  std::int64_t rank = 0;
  std::int64_t pid = 0;
};
struct WorkerOutput {
  std::int64_t rank = 0;
  bool errors = false;  // it wrote this on stderr, not on stdout
  std::string text;
};
struct WorkerExited {
  std::int64_t rank = 0;
  std::int64_t code = 0;
  std::int64_t signal = 0;
  std::string reason;  // as ExitStatus::reason
};

using Message =
    std::variant<Hello, Challenge, Proof, Refused, Assignment, StoreSet, StoreGet, StoreValue,
                 Heartbeat, OnGpu, StepDone, ShardWritten, ShardFailed, Print, StopRequested,
                 Failed, Done, Committed, Stop, Abort, NodeReady, StartWorkers, SignalWorkers,
                 WorkerStarted, WorkerOutput, WorkerExited>;

// One JSON object: the field "type" holds the name of the struct, the others are its fields. Real
// numbers are strings with the shortest digits that read back exactly. Bytes of a text that are no
// UTF-8 are sent as '?'.
std::string encode(const Message& message);

// The inverse. Throws WireError::Kind::kMessage naming the type and the field that is missing, unknown
// or of the wrong type.
Message decode(std::string_view text);

// "Hello": the name that stands in the field "type".
std::string_view type_name(const Message& message);

BOOST_DESCRIBE_STRUCT(Hello, (), (magic, version, run_id, attempt, rank, nonce))
BOOST_DESCRIBE_STRUCT(Challenge, (), (nonce, proof))
BOOST_DESCRIBE_STRUCT(Proof, (), (proof))
BOOST_DESCRIBE_STRUCT(Refused, (), (reason))
BOOST_DESCRIBE_STRUCT(Assignment, (),
                      (task, rank, world, attempt, job, checkpoint, source, destination))
BOOST_DESCRIBE_STRUCT(StoreSet, (), (key, value))
BOOST_DESCRIBE_STRUCT(StoreGet, (), (key))
BOOST_DESCRIBE_STRUCT(StoreValue, (), (key, value))
BOOST_DESCRIBE_STRUCT(Heartbeat, (),
                      (section, collective, memory, group, number, waited, groups, computing))
BOOST_DESCRIBE_STRUCT(OnGpu, (), (name))
BOOST_DESCRIBE_STRUCT(StepDone, (),
                      (step, tokens, loss, aux_loss, gradient_norm, learning_rate, seconds,
                       tokens_per_second, drop_rate, local_drop_rate, replayed, expert_counts))
BOOST_DESCRIBE_STRUCT(ShardWritten, (), (step, sha256))
BOOST_DESCRIBE_STRUCT(ShardFailed, (), (step, reason))
BOOST_DESCRIBE_STRUCT(Print, (), (text))
BOOST_DESCRIBE_STRUCT(StopRequested, (), (signal))
BOOST_DESCRIBE_STRUCT(Failed, (), (kind, message))
BOOST_DESCRIBE_STRUCT(Done, (), (result))
BOOST_DESCRIBE_STRUCT(Committed, (), (step, ok))
BOOST_DESCRIBE_STRUCT(Stop, (), ())
BOOST_DESCRIBE_STRUCT(Abort, (), (reason))
BOOST_DESCRIBE_STRUCT(NodeReady, (), (host, pid))
BOOST_DESCRIBE_STRUCT(StartWorkers, (),
                      (run_id, attempt, world, first_rank, ranks, node, nodes, port, directory,
                       environment))
BOOST_DESCRIBE_STRUCT(SignalWorkers, (), (rank, signal))
BOOST_DESCRIBE_STRUCT(WorkerStarted, (), (rank, pid))
BOOST_DESCRIBE_STRUCT(WorkerOutput, (), (rank, errors, text))
BOOST_DESCRIBE_STRUCT(WorkerExited, (), (rank, code, signal, reason))

}  // namespace fulgur
