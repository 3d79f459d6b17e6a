#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "cluster/exit_codes.hpp"
#include "cluster/wire/wire_error.hpp"
#include "kernels/cpu_threads.hpp"
#include "runtime/comm/flight_recorder.hpp"
#include "worker/control_client.hpp"
#include "worker/position.hpp"
#include "worker/task.hpp"

namespace {

// The coordinator tells the user what failed, so that it is told once.
int exit_code_of(const fulgur::Message& outcome) {
  const auto* failed = std::get_if<fulgur::Failed>(&outcome);
  return failed == nullptr ? fulgur::kExitDone : fulgur::exit_code(failed->kind);
}

int work() {
  auto environment = fulgur::read_environment();
  fulgur::set_cpu_threads(environment.cpu_threads);
  fulgur::FlightRecorder recorder;
  fulgur::ControlClient client(std::move(environment), [&recorder](fulgur::Heartbeat& beat) {
    fulgur::fill_position(beat, recorder);
  });
  const auto assignment = client.join();
  const auto outcome = fulgur::run_task(assignment, client, recorder);
  const int code = exit_code_of(outcome);
  client.finish(outcome);
  return code;
}

}  // namespace

int main() {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is then an error of write()
  try {
    return work();
  } catch (const fulgur::WireError& error) {
    fmt::print(stderr, "fulgur-worker: {}\n", error.what());
    return error.kind() == fulgur::WireError::Kind::kAuthentication ? fulgur::kExitAuthentication
                                                                    : fulgur::kExitFailed;
  } catch (const std::exception& error) {
    fmt::print(stderr, "fulgur-worker: {}\n", error.what());
    return fulgur::kExitFailed;
  }
}
