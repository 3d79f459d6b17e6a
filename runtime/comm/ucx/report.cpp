#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>

#include "runtime/comm/ucx/handles.hpp"
#include "runtime/comm/ucx_report.hpp"

namespace fulgur {
namespace {

// What `print` writes into the file that it gets.
template <class Print>
std::string printed(const Print& print) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const file = ::open_memstream(&text, &size);
  if (file == nullptr) throw CommError(CommError::Kind::kTransport, "open_memstream failed");
  print(file);
  std::fclose(file);
  const std::unique_ptr<char, decltype(&std::free)> owner(text, &std::free);
  return {text, size};
}

ucx::Worker make_worker(ucp_context_h context) {
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  ucp_worker_h handle = nullptr;
  ucx::check(ucp_worker_create(context, &params, &handle), "ucp_worker_create");
  return ucx::Worker(handle);
}

ucp_ep_h connect(ucp_worker_h from, ucp_worker_h to) {
  ucp_address_t* address = nullptr;
  std::size_t size = 0;
  ucx::check(ucp_worker_get_address(to, &address, &size), "ucp_worker_get_address");
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
  params.address = address;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;  // as communicators ask for
  ucp_ep_h handle = nullptr;
  const auto status = ucp_ep_create(from, &params, &handle);
  ucp_worker_release_address(to, address);
  ucx::check(status, "ucp_ep_create");
  return handle;
}

// At once, and without the peer, which nobody progresses.
void close(ucp_worker_h worker, ucp_ep_h endpoint) {
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  params.flags = UCP_EP_CLOSE_FLAG_FORCE;
  auto* const request = ucp_ep_close_nbx(endpoint, &params);
  if (!UCS_PTR_IS_PTR(request)) return;
  while (ucp_request_check_status(request) == UCS_INPROGRESS)
    ucp_worker_progress(worker);
  ucp_request_free(request);
}

void add_once(std::vector<std::string>& names, std::string name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
}

// Calls use(words) for each line's words.
template <class Use>
void for_each_line(std::string_view text, const Use& use) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;)
      words.push_back(std::move(word));
    use(words);
  }
}

}  // namespace

std::string ucx_version() {
  unsigned major = 0, minor = 0, release = 0;
  ucp_get_version(&major, &minor, &release);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

// "#  resource 1  :  md 1  dev 1  flags -- tcp/lo"
std::vector<std::string> transports_in(std::string_view context_text) {
  std::vector<std::string> names;
  for_each_line(context_text, [&](const auto& words) {
    if (words.size() > 2 && words[1] == "resource") add_once(names, words.back());
  });
  return names;
}

// "#  lane[0]:  3:sysv/memory.0 md[2] -> ...": the resource's number and the path's stand around.
std::vector<std::string> lanes_in(std::string_view endpoint_text) {
  std::vector<std::string> names;
  for_each_line(endpoint_text, [&](const auto& words) {
    if (words.size() < 3 || !words[1].starts_with("lane[")) return;
    auto name = words[2].substr(words[2].find(':') + 1);
    const auto dot = name.rfind('.');
    if (dot != std::string::npos && dot + 1 < name.size() &&
        std::all_of(name.begin() + static_cast<std::ptrdiff_t>(dot) + 1, name.end(),
                    [](unsigned char c) { return std::isdigit(c) != 0; }))
      name.resize(dot);
    add_once(names, std::move(name));
  });
  return names;
}

UcxReport report(const UcxContext& context) {
  const auto ucp = context.impl()->context.get();
  UcxReport result;
  result.transports =
      transports_in(printed([&](std::FILE* file) { ucp_context_print_info(ucp, file); }));
  // A context of its own, as another process has: within one context UCX takes the way to itself.
  const UcxContext other;
  const auto from = make_worker(ucp), to = make_worker(other.impl()->context.get());
  auto* const endpoint = connect(from.get(), to.get());
  const auto text = printed([&](std::FILE* file) { ucp_ep_print_info(endpoint, file); });
  close(from.get(), endpoint);
  result.lanes = lanes_in(text);
  return result;
}

}  // namespace fulgur
