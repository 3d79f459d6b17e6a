#include "runtime/comm/local.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <numeric>
#include <utility>

#include "runtime/comm/combine.hpp"
#include "runtime/comm/host_communicator.hpp"

namespace fulgur {
namespace {

using Message = std::vector<std::byte>;

// Where the ranks meet. A collective has two points that no rank passes alone: when all have met,
// each may read the tensors of the others; when all have parted, none reads any more.
struct Board {
  explicit Board(std::size_t size) : met(size), left(size), gave_up(size), boxes(size * size) {}

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<const Operation*> met;       // [size] guarded by mutex; null: not there
  std::vector<char> left;                  // [size] guarded by mutex; 1: aborted or destroyed
  std::vector<char> gave_up;               // [size] guarded by mutex; 1: met, and timed out
  std::size_t num_met = 0;                 // guarded by mutex
  std::size_t num_reading = 0;             // guarded by mutex; ranks that have met and not parted
  std::vector<std::deque<Message>> boxes;  // [from, to] guarded by mutex
};

std::byte* bytes_of(const Tensor& tensor) {
  return static_cast<std::byte*>(tensor.data);
}

// The elements before run `index`.
std::int64_t offset(const std::vector<std::int64_t>& counts, std::size_t index) {
  return std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(index),
                         std::int64_t{0});
}

void copy_bytes(std::byte* to, const std::byte* from, std::size_t size) {
  if (size != 0 && to != from) std::memcpy(to, from, size);
}

// True when the two ranks have called the same collective with arguments that fit together.
bool agree(const Operation& a, std::size_t rank_a, const Operation& b, std::size_t rank_b) {
  if (a.kind != b.kind || a.number != b.number || a.peer != b.peer || a.reduce != b.reduce) {
    return false;
  }
  if (a.kind == OperationKind::kBarrier) return true;
  if (a.in.dtype != b.in.dtype) return false;
  if (a.kind == OperationKind::kAllToAll) {
    return a.send_counts[rank_b] == b.recv_counts[rank_a] &&
           a.recv_counts[rank_b] == b.send_counts[rank_a];
  }
  if (a.kind == OperationKind::kAllGather) return a.recv_counts == b.recv_counts;
  return a.in.count() == b.in.count() && a.send_counts == b.send_counts;
}

class LocalCommunicator final : public HostCommunicator {
 public:
  LocalCommunicator(const Membership& self, std::shared_ptr<Board> board)
      : HostCommunicator(self),
        self_(static_cast<std::size_t>(self.rank)),
        peers_(static_cast<std::size_t>(self.size)),
        board_(std::move(board)) {}
  LocalCommunicator(const LocalCommunicator&) = delete;
  LocalCommunicator& operator=(const LocalCommunicator&) = delete;
  ~LocalCommunicator() override {
    stop();
    interrupt();
  }

 private:
  void interrupt() noexcept override {
    const std::lock_guard lock(board_->mutex);
    board_->left[self_] = 1;
    board_->changed.notify_all();
  }

  void meet(const Operation& operation);
  void part();
  void meet_and_part(const Operation& operation, const std::function<void()>& work);
  [[noreturn]] void give_up(const Operation& operation, const std::vector<int>& missing,
                            const std::vector<int>& gone) const;

  void all_reduce_now(const Operation& operation) override;
  void all_gather_now(const Operation& operation) override;
  void reduce_scatter_now(const Operation& operation) override;
  void all_to_all_now(const Operation& operation) override;
  void broadcast_now(const Operation& operation) override;
  void send_now(const Operation& operation) override;
  void recv_now(const Operation& operation) override;
  void barrier_now(const Operation& operation) override;

  std::size_t self_;
  std::vector<const Operation*> peers_;  // [size] valid between meet and part
  std::shared_ptr<Board> board_;
  std::vector<std::byte> staging_;
};

void LocalCommunicator::give_up(const Operation& operation, const std::vector<int>& missing,
                                const std::vector<int>& gone) const {
  const auto list = [](const std::vector<int>& ranks) {
    std::string text = ranks.size() == 1 ? "rank" : "ranks";
    for (const int one : ranks)
      text.append(" ").append(std::to_string(one));
    return text;
  };
  const std::string prefix = describe(operation, name()) + ": rank " + std::to_string(rank()) + " ";
  if (!gone.empty()) {
    throw CommError(CommError::Kind::kPeerLost, prefix + "lost " + list(gone));
  }
  throw CommError(
      CommError::Kind::kTimeout,
      prefix + "waited " + std::to_string(timeout().count()) + " ms for " + list(missing));
}

void LocalCommunicator::meet(const Operation& operation) {
  Board& board = *board_;
  std::unique_lock lock(board.mutex);
  board.met[self_] = &operation;
  if (++board.num_met == board.met.size()) {
    board.num_reading = board.met.size();
    board.changed.notify_all();
  }
  const auto all_met = [&] { return board.num_reading != 0; };
  const auto some_left = [&] {
    for (std::size_t r = 0; r < board.left.size(); ++r) {
      if (board.left[r] != 0 && board.met[r] == nullptr) return true;
    }
    return false;
  };
  board.changed.wait_for(lock, timeout(), [&] { return all_met() || aborted() || some_left(); });
  if (!all_met()) {
    --board.num_met;
    if (aborted()) board.met[self_] = nullptr;
    if (aborted()) throw_aborted(operation);
    board.gave_up[self_] = 1;  // but it was here: the others shall name only the rank that was not
    std::vector<int> missing;
    std::vector<int> gone;
    std::vector<int> tired;
    for (std::size_t r = 0; r < board.met.size(); ++r) {
      auto& list = board.gave_up[r] != 0 ? tired : board.left[r] != 0 ? gone : missing;
      if (r != self_ && (board.met[r] == nullptr || board.gave_up[r] != 0)) {
        list.push_back(static_cast<int>(r));
      }
    }
    give_up(operation, missing, gone.empty() && missing.empty() ? tired : gone);
  }
  peers_ = board.met;
}

// Waits without a limit: the ranks that have met only copy and add until they part.
void LocalCommunicator::part() {
  Board& board = *board_;
  std::unique_lock lock(board.mutex);
  if (--board.num_reading == 0) {  // only now: others may have been slow to read who has met
    std::fill(board.met.begin(), board.met.end(), nullptr);
    board.num_met = 0;
    board.changed.notify_all();
  }
  board.changed.wait(lock, [&] { return board.num_reading == 0; });
}

void LocalCommunicator::meet_and_part(const Operation& operation,
                                      const std::function<void()>& work) {
  meet(operation);
  int other = -1;
  for (std::size_t r = 0; r < peers_.size(); ++r) {
    if (!agree(operation, self_, *peers_[r], r)) other = static_cast<int>(r);
  }
  std::string theirs;
  if (other < 0) {
    work();
  } else {
    theirs = describe(*peers_[static_cast<std::size_t>(other)], name());
  }
  part();
  if (other >= 0) {
    throw CommError(CommError::Kind::kMismatch,
                    describe(operation, name()) + ": rank " + std::to_string(rank()) +
                        " does not fit rank " + std::to_string(other) + ", which called " + theirs);
  }
}

void LocalCommunicator::all_reduce_now(const Operation& operation) {
  // Others read `in` until all have parted, so in place the result waits in the staging memory.
  const bool in_place = operation.in.data == operation.out.data;
  if (in_place) staging_.resize(std::max(staging_.size(), operation.in.bytes()));
  std::byte* result = in_place ? staging_.data() : bytes_of(operation.out);
  meet_and_part(operation, [&] {
    std::vector<const void*> sources;
    for (const Operation* peer : peers_)
      sources.push_back(peer->in.data);
    combine(operation.reduce, operation.in.dtype, sources, result, operation.in.count());
  });
  if (in_place) copy_bytes(bytes_of(operation.out), result, operation.in.bytes());
}

void LocalCommunicator::all_gather_now(const Operation& operation) {
  meet_and_part(operation, [&] {
    std::byte* to = bytes_of(operation.out);
    for (const Operation* peer : peers_) {
      copy_bytes(to, bytes_of(peer->in), peer->in.bytes());
      to += peer->in.bytes();
    }
  });
}

void LocalCommunicator::reduce_scatter_now(const Operation& operation) {
  meet_and_part(operation, [&] {
    const std::size_t begin = static_cast<std::size_t>(offset(operation.send_counts, self_)) *
                              size_bytes(operation.in.dtype);
    std::vector<const void*> sources;
    for (const Operation* peer : peers_)
      sources.push_back(bytes_of(peer->in) + begin);
    combine(ReduceOp::kSum, operation.in.dtype, sources, operation.out.data, operation.out.count());
  });
}

void LocalCommunicator::all_to_all_now(const Operation& operation) {
  meet_and_part(operation, [&] {
    const std::size_t width = size_bytes(operation.in.dtype);
    std::byte* to = bytes_of(operation.out);
    for (std::size_t r = 0; r < peers_.size(); ++r) {
      const std::size_t length = static_cast<std::size_t>(operation.recv_counts[r]) * width;
      const auto begin = static_cast<std::size_t>(offset(peers_[r]->send_counts, self_)) * width;
      if (length != 0) copy_bytes(to, bytes_of(peers_[r]->in) + begin, length);
      to += length;
    }
  });
}

void LocalCommunicator::broadcast_now(const Operation& operation) {
  meet_and_part(operation, [&] {
    if (operation.peer == rank()) return;
    const Tensor& from = peers_[static_cast<std::size_t>(operation.peer)]->in;
    copy_bytes(bytes_of(operation.out), bytes_of(from), from.bytes());
  });
}

void LocalCommunicator::barrier_now(const Operation& operation) {
  meet_and_part(operation, [] {});
}

void LocalCommunicator::send_now(const Operation& operation) {
  const std::byte* from = bytes_of(operation.in);
  Message message(from, from + operation.in.bytes());
  const std::lock_guard lock(board_->mutex);
  const auto to = static_cast<std::size_t>(operation.peer);
  board_->boxes[self_ * peers_.size() + to].push_back(std::move(message));
  board_->changed.notify_all();
}

void LocalCommunicator::recv_now(const Operation& operation) {
  Board& board = *board_;
  const auto from = static_cast<std::size_t>(operation.peer);
  std::unique_lock lock(board.mutex);
  auto& box = board.boxes[from * peers_.size() + self_];
  board.changed.wait_for(lock, timeout(),
                         [&] { return !box.empty() || aborted() || board.left[from] != 0; });
  if (aborted()) throw_aborted(operation);
  if (box.empty()) {
    const std::vector<int> sender{operation.peer};
    if (board.left[from] != 0) give_up(operation, {}, sender);
    give_up(operation, sender, {});
  }
  const Message message = std::move(box.front());
  box.pop_front();
  lock.unlock();
  if (message.size() != operation.out.bytes()) {
    throw CommError(CommError::Kind::kMismatch,
                    describe(operation, name()) + ": rank " + std::to_string(rank()) +
                        " expected " + std::to_string(operation.out.bytes()) + " bytes from rank " +
                        std::to_string(operation.peer) + ", got " + std::to_string(message.size()));
  }
  copy_bytes(bytes_of(operation.out), message.data(), message.size());
}

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_local_group(const std::string& name, int size,
                                                            std::chrono::milliseconds timeout,
                                                            FlightRecorder* recorder) {
  auto board = std::make_shared<Board>(static_cast<std::size_t>(std::max(size, 1)));
  std::vector<std::unique_ptr<Communicator>> group;
  for (int rank = 0; rank < size; ++rank) {
    const Membership self{name, rank, size, timeout, recorder};
    group.push_back(std::make_unique<LocalCommunicator>(self, board));
  }
  return group;
}

}  // namespace fulgur
