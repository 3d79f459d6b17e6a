#include "runtime/comm/link_probe.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace fulgur {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPings = 40;
constexpr int kTransfers = 8;
constexpr std::int64_t kTransferBytes = 4 << 20;

// Both ways, one behind the other.
void exchange(Communicator& group, const Tensor& tensor, int peer, Stream& stream) {
  if (group.rank() < peer) {
    group.send(tensor, peer, stream, "link probe");
    group.recv(tensor, peer, stream, "link probe");
  } else {
    group.recv(tensor, peer, stream, "link probe");
    group.send(tensor, peer, stream, "link probe");
  }
}

double seconds_of_exchange(Communicator& group, const Tensor& tensor, int peer, Stream& stream) {
  const auto start = Clock::now();
  exchange(group, tensor, peer, stream);
  stream.synchronize();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

LinkMeasured measure(Communicator& group, int peer, std::vector<std::uint8_t>& memory,
                     Stream& stream) {
  const auto small = Tensor::contiguous(memory.data(), DType::kUInt8, {8});
  const auto large = Tensor::contiguous(memory.data(), DType::kUInt8, {kTransferBytes});
  std::vector<double> pings;
  pings.reserve(kPings);
  for (int i = 0; i < kPings; ++i)
    pings.push_back(seconds_of_exchange(group, small, peer, stream));
  std::nth_element(pings.begin(), pings.begin() + kPings / 2, pings.end());
  exchange(group, large, peer, stream);  // which makes the connection ready
  stream.synchronize();
  const auto start = Clock::now();
  for (int i = 0; i < kTransfers; ++i)
    exchange(group, large, peer, stream);
  stream.synchronize();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  constexpr double kMicro = 1e6;
  constexpr double kGiga = 1e9;
  return {.peer = peer,
          .latency_microseconds = kMicro * pings[kPings / 2] / 2,
          .gigabytes_per_second =
              2.0 * kTransfers * static_cast<double>(kTransferBytes) / seconds / kGiga};
}

}  // namespace

int num_rounds(int size) noexcept {
  return size % 2 == 0 ? size - 1 : size;
}

// The circle method: all but the last rank of an even number stand on a circle, and in round r those meet
// whose numbers add up to r; who would meet itself meets the last one, which an odd number does not have.
int partner_in_round(int size, int rank, int round) {
  if (size < 1 || rank < 0 || rank >= size || round < 0 || round >= num_rounds(size))
    throw std::invalid_argument("partner_in_round: no such rank or round");
  const int circle = num_rounds(size);
  const bool even = size % 2 == 0;
  const int last = size - 1;
  if (even && rank == last) {
    // 2 p = round modulo circle; the inverse of 2 is (circle + 1) / 2.
    return static_cast<int>(std::int64_t{round} * ((circle + 1) / 2) % circle);
  }
  const int partner = (round - rank % circle + circle) % circle;
  if (partner != rank) return partner;
  return even ? last : -1;
}

std::vector<LinkMeasured> probe_links(Communicator& group, int rounds) {
  Stream stream(Device::kCpu);
  std::vector<std::uint8_t> memory(static_cast<std::size_t>(kTransferBytes));
  std::vector<LinkMeasured> links;
  const int all = group.size() < 2 ? 0 : std::min(rounds, num_rounds(group.size()));
  for (int round = 0; round < all; ++round) {
    group.barrier(stream, "link probe");
    stream.synchronize();
    const int peer = partner_in_round(group.size(), group.rank(), round);
    if (peer >= 0) links.push_back(measure(group, peer, memory, stream));
  }
  return links;
}

}  // namespace fulgur
