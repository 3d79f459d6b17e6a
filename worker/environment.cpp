#include "worker/environment.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string_view>

#include "cluster/launch/child_process.hpp"
#include "cluster/launch/unique_fd.hpp"
#include "cluster/wire/secret.hpp"

namespace fulgur {
namespace {

[[noreturn]] void refuse(const std::string& problem) {
  throw std::runtime_error("fulgur starts this program, it is of no use alone: " + problem);
}

std::string text(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) refuse(std::string(name) + " is not set");
  return value;
}

int number(const char* name, int min, int max) {
  const auto value = text(name);
  int result = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc{} || end != value.data() + value.size() || result < min || result > max)
    refuse(std::string(name) + "=" + value + " is not a number between " + std::to_string(min) +
           " and " + std::to_string(max));
  return result;
}

std::string read_secret() {
  const UniqueFd pipe(kSecretFd);
  std::string secret;
  std::array<char, 256> buffer{};
  for (;;) {
    const auto count = ::read(pipe.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    secret.append(buffer.data(), static_cast<std::size_t>(count));
    if (secret.size() > kSecretBytes) break;
  }
  if (secret.size() != kSecretBytes) refuse("there is no secret on its descriptor");
  return secret;
}

}  // namespace

WorkerEnvironment read_environment() {
  constexpr int kMax = std::numeric_limits<int>::max();
  WorkerEnvironment environment;
  environment.rank = number("FULGUR_RANK", 0, kMax);
  environment.local_rank = number("FULGUR_LOCAL_RANK", 0, kMax);
  environment.local_world = number("FULGUR_LOCAL_WORLD", 1, kMax);
  environment.address = text("FULGUR_COORDINATOR_ADDRESS");
  environment.port = static_cast<std::uint16_t>(
      number("FULGUR_COORDINATOR_PORT", 1, std::numeric_limits<std::uint16_t>::max()));
  environment.run_id = text("FULGUR_RUN_ID");
  environment.attempt = number("FULGUR_ATTEMPT", 1, kMax);
  environment.cpu_threads = number("FULGUR_CPU_THREADS", 1, kMax);
  environment.secret = read_secret();
  return environment;
}

}  // namespace fulgur
