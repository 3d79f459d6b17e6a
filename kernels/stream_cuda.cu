#include <cuda_runtime.h>

#include <cstdint>
#include <deque>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>

#include "kernels/cuda_check.hpp"
#include "kernels/devices_impl.hpp"
#include "kernels/stream_impl.hpp"
#include "kernels/unique_handle.hpp"

namespace fulgur::cuda {
namespace {

struct EventTraits {
  using Handle = cudaEvent_t;
  static constexpr Handle none = nullptr;
  static void release(Handle event) noexcept { static_cast<void>(cudaEventDestroy(event)); }
};
struct StreamTraits {
  using Handle = cudaStream_t;
  static constexpr Handle none = nullptr;
  static void release(Handle stream) noexcept { static_cast<void>(cudaStreamDestroy(stream)); }
};

struct CudaEvent final : Event::State {
  CudaEvent() {
    cudaEvent_t made = nullptr;
    check(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    event = UniqueHandle<EventTraits>(made);
  }

  void synchronize() override { check(cudaEventSynchronize(event.get()), "cudaEventSynchronize"); }
  bool has_passed() override {
    const auto status = cudaEventQuery(event.get());
    if (status == cudaErrorNotReady) return false;
    check(status, "cudaEventQuery");
    return true;
  }

  UniqueHandle<EventTraits> event;
};

// Host work of a stream. CUDA calls run_next() once for each item, in order, on a thread of its
// own. When the device has failed it does not call at all: so the items stay owned here.
class HostQueue {
 public:
  enum class Kind : bool { kWork, kWait };

  explicit HostQueue(std::shared_ptr<StreamFailure> failure) : failure_(std::move(failure)) {}

  void push(std::function<void()> call, Kind kind) {
    const std::lock_guard lock(mutex_);
    items_.push_back({std::move(call), kind});
  }

  static void run_next(void* self) { static_cast<HostQueue*>(self)->run_next(); }

 private:
  struct Item {
    std::function<void()> call;
    Kind kind;
  };

  void run_next() {
    Item item;
    {
      const std::lock_guard lock(mutex_);
      item = std::move(items_.front());
      items_.pop_front();
    }
    if (item.kind == Kind::kWork && failure_->is_set()) return;
    try {
      item.call();
    } catch (...) {
      failure_->set(std::current_exception());
    }
  }

  std::mutex mutex_;
  std::deque<Item> items_;  // guarded by mutex_
  const std::shared_ptr<StreamFailure> failure_;
};

// Memory for Scratch stays with the pool instead of going back to the driver at every synchronize.
void keep_pool_memory() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, device), "cudaDeviceGetDefaultMemPool");
  auto threshold = std::numeric_limits<std::uint64_t>::max();
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold),
        "cudaMemPoolSetAttribute");
}

// A cudaStream_t. Host work (run) takes its turn among the kernels; it must not call CUDA and must
// not queue on a stream. After host work has thrown, later host work is dropped until
// synchronize(); kernels still run, for CUDA cannot take them back.
class CudaStream final : public Stream::Impl {
 public:
  CudaStream() {
    keep_pool_memory();
    cudaStream_t made = nullptr;
    check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    stream_ = UniqueHandle<StreamTraits>(made);
  }
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;
  ~CudaStream() override { static_cast<void>(cudaStreamSynchronize(stream_.get())); }

  Device device() const noexcept override { return Device::kCuda; }
  void* native() const noexcept override { return stream_.get(); }

  void run(std::function<void()> work) override { push(std::move(work), HostQueue::Kind::kWork); }

  Event record() override {
    auto state = std::make_shared<CudaEvent>();
    check(cudaEventRecord(state->event.get(), stream_.get()), "cudaEventRecord");
    return Event(std::move(state));
  }

  // An event of a CPU stream is waited for by host work.
  void wait(const Event& event) override {
    if (const auto* state = dynamic_cast<const CudaEvent*>(event.state().get())) {
      check(cudaStreamWaitEvent(stream_.get(), state->event.get(), 0), "cudaStreamWaitEvent");
    } else {
      push([state = event.state()] { state->synchronize(); }, HostQueue::Kind::kWait);
    }
  }

  void synchronize() override {
    check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
    if (const auto first = failure->take()) std::rethrow_exception(first);
  }

 private:
  void push(std::function<void()> call, HostQueue::Kind kind) {
    host_.push(std::move(call), kind);
    check(cudaLaunchHostFunc(stream_.get(), &HostQueue::run_next, &host_), "cudaLaunchHostFunc");
  }

  HostQueue host_{failure};
  UniqueHandle<StreamTraits> stream_;
};

}  // namespace

std::unique_ptr<Stream::Impl> make_stream() {
  return std::make_unique<CudaStream>();
}

int num_devices() {
  int count = 0;
  const auto status = cudaGetDeviceCount(&count);
  if (status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver) {
    static_cast<void>(cudaGetLastError());
    return 0;
  }
  check(status, "cudaGetDeviceCount");
  return count;
}

void use_device(int index) {
  check(cudaSetDevice(index), "cudaSetDevice");
}

std::string device_name() {
  int index = 0;
  check(cudaGetDevice(&index), "cudaGetDevice");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  return properties.name;
}

std::int64_t occupied_memory() {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return static_cast<std::int64_t>(total - free);
}

}  // namespace fulgur::cuda
