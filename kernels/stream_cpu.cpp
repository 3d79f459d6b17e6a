#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/stream_impl.hpp"

namespace fulgur::cpu {
namespace {

// How far a stream has come: the number of items done. Events share it, so they may outlive the
// stream.
class Progress {
 public:
  void advance() {
    const std::lock_guard lock(mutex_);
    if (++done_ < wake_at_) return;
    wake_at_ = kNobody;
    changed_.notify_all();
  }

  void wait_for(std::uint64_t ticket) {
    std::unique_lock lock(mutex_);
    while (done_ < ticket) {
      wake_at_ = std::min(wake_at_, ticket);
      changed_.wait(lock);
    }
  }

  bool has_reached(std::uint64_t ticket) {
    const std::lock_guard lock(mutex_);
    return done_ >= ticket;
  }

 private:
  static constexpr auto kNobody = std::numeric_limits<std::uint64_t>::max();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t done_ = 0;           // guarded by mutex_
  std::uint64_t wake_at_ = kNobody;  // guarded by mutex_: the least ticket that a thread waits for
};

// An event is a ticket: it has passed when the stream has done so many items. So recording one
// queues nothing.
struct CpuEvent final : Event::State {
  CpuEvent(std::shared_ptr<Progress> of, std::uint64_t at) : progress(std::move(of)), ticket(at) {}

  void synchronize() override { progress->wait_for(ticket); }
  bool has_passed() override { return progress->has_reached(ticket); }

  std::shared_ptr<Progress> progress;
  std::uint64_t ticket;
};

class CpuStream final : public Stream::Impl {
 public:
  CpuStream() : executor_([this] { execute(); }) {}
  CpuStream(const CpuStream&) = delete;
  CpuStream& operator=(const CpuStream&) = delete;
  ~CpuStream() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    arrived_.notify_one();
    executor_.join();
  }

  Device device() const noexcept override { return Device::kCpu; }
  void* native() const noexcept override { return nullptr; }

  void run(std::function<void()> work) override { push({std::move(work), Kind::kWork}); }

  Event record() override {
    const std::lock_guard lock(mutex_);
    return Event(std::make_shared<CpuEvent>(progress_, queued_));
  }

  void wait(const Event& event) override {
    push({[state = event.state()] { state->synchronize(); }, Kind::kWait});
  }

  void synchronize() override {
    record().synchronize();
    if (const auto first = failure->take()) std::rethrow_exception(first);
  }

 private:
  enum class Kind : bool { kWork, kWait };
  struct Item {
    std::function<void()> call;
    Kind kind;
  };

  void push(Item item) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(item));
      ++queued_;
      wake = std::exchange(asleep_, false);
    }
    if (wake) arrived_.notify_one();
  }

  // The executor takes all that is queued at once: one lock for many items. False at the end.
  bool take(std::vector<Item>& items) {
    std::unique_lock lock(mutex_);
    while (queue_.empty() && !closing_) {
      asleep_ = true;
      arrived_.wait(lock);
    }
    asleep_ = false;
    std::swap(items, queue_);
    return !items.empty();
  }

  void execute() {
    std::vector<Item> items;
    while (take(items)) {
      for (auto& item : items) {
        if (item.kind == Kind::kWait || !failure->is_set()) call(item);
        item.call = nullptr;  // what the work holds is free before anybody hears that it is done
        progress_->advance();
      }
      items.clear();
    }
  }

  void call(const Item& item) {
    try {
      item.call();
    } catch (...) {
      failure->set(std::current_exception());
    }
  }

  const std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Item> queue_;   // guarded by mutex_
  std::uint64_t queued_ = 0;  // guarded by mutex_: all items ever queued
  bool asleep_ = false;       // guarded by mutex_: the executor waits for arrived_
  bool closing_ = false;      // guarded by mutex_
  std::jthread executor_;     // the last member: it starts when the others are there
};

}  // namespace

std::unique_ptr<Stream::Impl> make_stream() {
  return std::make_unique<CpuStream>();
}

}  // namespace fulgur::cpu
