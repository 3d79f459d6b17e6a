#include "runtime/comm/ucx/channel.hpp"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace fulgur::ucx {
namespace {

// Empty rounds of progress before a wait sleeps. Each round offers the core to others, which takes
// some 0.3 us when nobody wants it; a sleep costs some 10 us.
constexpr int kPatience = 500;
constexpr int kCrowdedPatience = 100;

// A sleep lasts at most as long as the wait has lasted already, within these limits. The
// transports' wake-ups miss one case: a shared-memory queue that was full when we sent, and is so
// no more.
constexpr std::chrono::milliseconds kShortestSleep{1};
constexpr std::chrono::milliseconds kLongestSleep{50};

// How long closing may take.
constexpr std::chrono::milliseconds kClosing{500};

Worker make_worker(ucp_context_h context) {
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;  // streams come and go; each has its own thread
  ucp_worker_h handle = nullptr;
  check(ucp_worker_create(context, &params, &handle), "ucp_worker_create");
  return Worker(handle);
}

File make_eventfd() {
  const int file = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (file < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return File(file);
}

}  // namespace

Channel::Channel(std::shared_ptr<UcxContext::Impl> context, Membership self)
    : context_(std::move(context)),
      self_(std::move(self)),
      wakeup_(make_eventfd()),
      worker_(make_worker(context_->context.get())),
      endpoints_(static_cast<std::size_t>(self_.size)) {
  check(ucp_worker_get_efd(worker_.get(), &events_), "ucp_worker_get_efd");
}

Channel::~Channel() {
  close_endpoints(false);
}

std::string Channel::address() const {
  ucp_address_t* address = nullptr;
  std::size_t size = 0;
  check(ucp_worker_get_address(worker_.get(), &address, &size), "ucp_worker_get_address");
  std::string bytes(reinterpret_cast<const char*>(address), size);
  ucp_worker_release_address(worker_.get(), address);
  return bytes;
}

void Channel::connect(int peer, const std::string& address) {
  Endpoint& endpoint = endpoints_[static_cast<std::size_t>(peer)];
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(address.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {.cb = &Channel::peer_failed, .arg = &endpoint};
  check(ucp_ep_create(worker_.get(), &params, &endpoint.handle), "ucp_ep_create");
}

void Channel::peer_failed(void* endpoint, ucp_ep_h /*handle*/, ucs_status_t status) {
  static_cast<Endpoint*>(endpoint)->lost = status;
}

// sender: 16 bits, kind of operation: 4, its number: 28, step: 16.
std::uint64_t Channel::tag(int sender, std::size_t step) const noexcept {
  const auto kind =
      operation_->kind == OperationKind::kRecv ? OperationKind::kSend : operation_->kind;
  constexpr std::uint64_t kNumberMask = (std::uint64_t{1} << 28) - 1;
  return static_cast<std::uint64_t>(sender) << 48 | static_cast<std::uint64_t>(kind) << 44 |
         (operation_->number & kNumberMask) << 16 | (step & 0xffff);
}

void Channel::send(int peer, std::size_t step, const void* data, std::size_t size) {
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_MEMORY_TYPE;
  params.memory_type = UCS_MEMORY_TYPE_HOST;
  const Endpoint& endpoint = endpoints_[static_cast<std::size_t>(peer)];
  if (endpoint.lost != UCS_OK) fail_with(endpoint.lost, {.peer = peer});
  keep(ucp_tag_send_nbx(endpoint.handle, data, size, tag(self_.rank, step), &params),
       {.peer = peer, .size = size});
}

void Channel::recv(int peer, std::size_t step, void* data, std::size_t size) {
  ucp_request_param_t params{};
  // Never completed at once, so that all receives are checked in one place.
  params.op_attr_mask = UCP_OP_ATTR_FIELD_MEMORY_TYPE | UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  params.memory_type = UCS_MEMORY_TYPE_HOST;
  keep(ucp_tag_recv_nbx(worker_.get(), data, size, tag(peer, step), ~std::uint64_t{0}, &params),
       {.peer = peer, .is_receive = true, .size = size});
}

void Channel::keep(ucs_status_ptr_t result, const Pending& pending) {
  if (result == nullptr) return;
  if (UCS_PTR_IS_ERR(result)) fail_with(UCS_PTR_STATUS(result), pending);
  pending_.push_back(pending);
  pending_.back().request = result;
}

bool Channel::collect() {
  bool some = false;
  for (std::size_t i = 0; i < pending_.size();) {
    const Pending pending = pending_[i];
    ucp_tag_recv_info_t info{};
    const ucs_status_t status = pending.is_receive
                                    ? ucp_tag_recv_request_test(pending.request, &info)
                                    : ucp_request_check_status(pending.request);
    if (status == UCS_INPROGRESS) {
      ++i;
      continue;
    }
    some = true;
    ucp_request_free(pending.request);
    pending_[i] = pending_.back();
    pending_.pop_back();
    // A flush fails when a peer is gone. One that is needed again is missed by the next message.
    const bool is_flush = pending.peer < 0;
    if (status != UCS_OK && !is_flush) fail_with(status, pending);
    if (pending.is_receive) check_received(pending, info.length);
  }
  return some;
}

void Channel::check_received(const Pending& pending, std::size_t size) const {
  if (size == pending.size) return;
  fail(CommError::Kind::kMismatch, "expected " + std::to_string(pending.size) +
                                       " bytes from rank " + std::to_string(pending.peer) +
                                       ", got " + std::to_string(size));
}

// A lost peer's last messages may still be on their way through UCX: they count.
void Channel::check_lost() {
  const auto is_lost = [&](const Pending& pending) {
    return pending.peer >= 0 && endpoints_[static_cast<std::size_t>(pending.peer)].lost != UCS_OK;
  };
  if (std::none_of(pending_.begin(), pending_.end(), is_lost)) return;
  for (int round = 0; round < 1000 && ucp_worker_progress(worker_.get()) != 0; ++round) {
  }
  collect();
  const auto lost = std::find_if(pending_.begin(), pending_.end(), is_lost);
  if (lost == pending_.end()) return;
  fail_with(endpoints_[static_cast<std::size_t>(lost->peer)].lost, *lost);
}

void Channel::check_time(Clock::time_point last) const {
  if (Clock::now() - last < self_.timeout) return;
  std::vector<int> peers;
  for (const auto& pending : pending_) {
    if (pending.peer >= 0) peers.push_back(pending.peer);
  }
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  std::string problem = "no progress for " + std::to_string(self_.timeout.count()) + " ms with";
  problem += peers.size() == 1 ? " rank" : " ranks";
  for (const int peer : peers)
    problem.append(" ").append(std::to_string(peer));
  fail(CommError::Kind::kTimeout, problem);
}

void Channel::wait(std::size_t left) {
  auto last = Clock::now();
  const int patience =
      context_->is_crowded.load(std::memory_order_relaxed) ? kCrowdedPatience : kPatience;
  int idle = 0;
  for (unsigned round = 0;; ++round) {
    if (collect()) {
      last = Clock::now();
      idle = 0;
    }
    if (pending_.size() <= left) return;
    if (aborted_.load(std::memory_order_relaxed)) {
      fail(CommError::Kind::kAborted, "rank " + std::to_string(self_.rank) + " aborted");
    }
    if (round % 256 == 255) check_time(last);
    if (ucp_worker_progress(worker_.get()) != 0) continue;
    check_lost();
    if (++idle <= patience) {
      ::sched_yield();
      continue;
    }
    check_time(last);
    sleep(last);
  }
}

// Returns when there may be something to do.
void Channel::sleep(Clock::time_point last) {
  const ucs_status_t status = ucp_worker_arm(worker_.get());
  if (status == UCS_ERR_BUSY) return;  // something has come since the last progress
  check(status, "ucp_worker_arm");
  const auto waited = std::chrono::floor<std::chrono::milliseconds>(Clock::now() - last);
  const auto longest = std::min(kLongestSleep, std::max(self_.timeout - waited, kShortestSleep));
  const auto limit = std::clamp(waited, kShortestSleep, longest);
  std::array<pollfd, 2> files{{{.fd = events_, .events = POLLIN, .revents = 0},
                               {.fd = wakeup_.get(), .events = POLLIN, .revents = 0}}};
  const int ready = ::poll(files.data(), files.size(), static_cast<int>(limit.count()));
  if (ready < 0 && errno != EINTR) {
    throw std::system_error(errno, std::generic_category(), "poll");
  }
}

// UCX may copy a short message and call it sent before the network has taken it. No later operation
// may come for a long time to push it on, so it is flushed now.
void Channel::finish() {
  wait();
  ucp_request_param_t params{};
  const auto result = ucp_worker_flush_nbx(worker_.get(), &params);
  if (result != nullptr && !UCS_PTR_IS_ERR(result)) {
    pending_.push_back({.request = result});
    wait();
  }
  operation_ = nullptr;
}

void Channel::abort() noexcept {
  aborted_.store(true);
  // It fails only when the counter is full, and then the file is readable anyway.
  [[maybe_unused]] const int status = ::eventfd_write(wakeup_.get(), 1);
}

void Channel::cancel() noexcept {
  for (const auto& pending : pending_) {
    if (pending.is_receive) ucp_request_cancel(worker_.get(), pending.request);
  }
  close_endpoints(true);
  for (const auto& pending : pending_)
    ucp_request_free(pending.request);
  pending_.clear();
}

// By force, or after what has been posted is sent; returns when UCX has let go of all messages, or
// after a while.
void Channel::close_endpoints(bool force) noexcept {
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  std::vector<void*> closing;
  for (auto& endpoint : endpoints_) {
    if (endpoint.handle == nullptr) continue;
    params.flags = force || endpoint.lost != UCS_OK ? UCP_EP_CLOSE_FLAG_FORCE : 0;
    const auto result = ucp_ep_close_nbx(endpoint.handle, &params);
    endpoint.handle = nullptr;
    if (result != nullptr && !UCS_PTR_IS_ERR(result)) closing.push_back(result);
  }
  const auto is_done = [](void* request) {
    return ucp_request_check_status(request) != UCS_INPROGRESS;
  };
  const auto deadline = Clock::now() + kClosing;
  const auto all_done = [&] {
    return std::all_of(closing.begin(), closing.end(), is_done) &&
           std::all_of(pending_.begin(), pending_.end(),
                       [&](const Pending& pending) { return is_done(pending.request); });
  };
  while (!all_done() && Clock::now() < deadline) {
    if (ucp_worker_progress(worker_.get()) == 0) ::sched_yield();
  }
  for (void* request : closing)
    ucp_request_free(request);
}

void Channel::fail(CommError::Kind kind, const std::string& problem) const {
  throw CommError(kind, describe(*operation_, self_.group) + ": rank " +
                            std::to_string(self_.rank) + ": " + problem);
}

void Channel::fail_with(ucs_status_t status, const Pending& pending) const {
  const std::string peer = std::to_string(pending.peer);
  if (status == UCS_ERR_MESSAGE_TRUNCATED) {
    fail(CommError::Kind::kMismatch,
         "expected " + std::to_string(pending.size) + " bytes from rank " + peer + ", got more");
  }
  fail(CommError::Kind::kPeerLost, "lost rank " + peer + " (" + ucs_status_string(status) + ")");
}

}  // namespace fulgur::ucx
