#include "runtime/comm/ucx/communicator.hpp"

#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "runtime/comm/ucx/cores.hpp"

namespace fulgur {
namespace ucx {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

std::string key(const std::string& group, int rank) {
  return group + "/ucx/" + std::to_string(rank);
}

}  // namespace

UcxCommunicator::UcxCommunicator(std::shared_ptr<UcxContext::Impl> context, Store& store,
                                 const Membership& self)
    : HostCommunicator(self), channel_(std::move(context), self) {
  if (size() > 1) connect(store);
}

UcxCommunicator::~UcxCommunicator() {
  stop();
}

// A value in the store is the rank's cores, the host's name, a zero byte, and the address of the
// worker.
void UcxCommunicator::connect(Store& store) {
  const std::string host = host_name();
  const Cores cores = usable_cores();
  store.set(key(name(), rank()), pack(cores) + host + '\0' + channel_.address());
  const auto deadline = std::chrono::steady_clock::now() + timeout();
  std::vector<Cores> of_ranks_here{cores};
  for (std::size_t distance = 1; distance < num_ranks(); ++distance) {
    const int peer = around(distance);
    const auto rest =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const std::string value =
        store.get(key(name(), peer), std::max(rest, std::chrono::milliseconds(1)));
    const auto end = value.find('\0', kPackedCores);
    if (end == std::string::npos) {
      throw CommError(CommError::Kind::kMismatch,
                      "store: key " + key(name(), peer) + " holds no UCX address");
    }
    if (value.compare(kPackedCores, end - kPackedCores, host) == 0)
      of_ranks_here.push_back(unpack_cores(value));
    channel_.connect(peer, value.substr(end + 1));
  }
  if (is_crowded(of_ranks_here)) channel_.set_crowded();
  Operation operation;
  operation.what = "connecting";
  within(operation, [&] { greet(operation); });
}

// Two rounds of empty messages between all pairs. UCX sets up connections with messages of its own,
// which both ends must be there to answer: after the first round they have been exchanged with all
// peers, after the second round all peers know that too, and nobody needs this rank until its next
// operation.
void UcxCommunicator::greet(const Operation& operation) {
  for (std::size_t round = 0; round < 2; ++round) {
    channel_.begin(operation);
    for (std::size_t distance = 1; distance < num_ranks(); ++distance) {
      channel_.recv(around(distance), round, nullptr, 0);
      channel_.send(around(distance), round, nullptr, 0);
    }
    channel_.finish();
  }
}

void UcxCommunicator::within(const Operation& operation, const std::function<void()>& steps) {
  try {
    channel_.begin(operation);
    steps();
    channel_.finish();
  } catch (...) {
    channel_.cancel();
    throw;
  }
}

std::byte* UcxCommunicator::staging(std::size_t bytes) {
  if (staging_.size() < bytes) staging_.resize(bytes);
  return staging_.data();
}

std::vector<Run> runs_of(std::byte* data, std::span<const std::int64_t> counts, std::size_t width) {
  std::vector<Run> runs;
  runs.reserve(counts.size());
  for (const auto count : counts) {
    const std::size_t bytes = static_cast<std::size_t>(count) * width;
    runs.push_back({data, bytes});
    if (bytes != 0) data += bytes;  // an empty tensor may have no memory
  }
  return runs;
}

}  // namespace ucx

std::unique_ptr<Communicator> make_ucx_communicator(const UcxContext& context, Store& store,
                                                    const Membership& self) {
  return std::make_unique<ucx::UcxCommunicator>(context.impl(), store, self);
}

}  // namespace fulgur
