#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "cluster/exit_codes.hpp"
#include "cluster/launch/child_process.hpp"
#include "cluster/launch/invitation.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/run/run_directory.hpp"
#include "orchestrator/run/training_run.hpp"
#include "orchestrator/submit/scheduler.hpp"
#include "recipes/diagnostic.hpp"
#include "runtime/checkpoint/manifest.hpp"

namespace {

int fail(int code, const std::string& message) {
  std::fflush(stdout);
  fmt::print(stderr, "fulgur: {}\n", message);
  return code;
}

int fail(const fulgur::RecipeError& error, fulgur::ErrorFormat format) {
  std::fflush(stdout);
  const auto& all = error.diagnostics();
  if (format == fulgur::ErrorFormat::kShort) {
    fmt::print(stderr, "{}", fulgur::format_diagnostic_lines(all));
  } else if (format == fulgur::ErrorFormat::kJson) {
    fmt::print(stderr, "{}", fulgur::format_diagnostics_json(all));
  } else {
    const bool colour = ::isatty(STDERR_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    fmt::print(stderr, "{}\n{}{} error{}; nothing was started\n",
               fulgur::format_diagnostics(all, colour), error.has_more() ? "the first " : "",
               all.size(), all.size() == 1 ? "" : "s");
    fmt::print(stderr, "`fulgur recipe explain {}` says more\n", all.front().code);
  }
  return fulgur::kExitRecipe;
}

int run(int argc, char** argv) {
  using namespace fulgur;
  auto error_format = ErrorFormat::kHuman;
  try {
    const auto parsed = parse(argc, argv);
    error_format = parsed.error_format;
    if (!parsed.command) {
      fmt::print(parsed.exit_code == kExitDone ? stdout : stderr, "{}", parsed.text);
      return parsed.exit_code;
    }
    return std::visit([](const auto& options) { return run_command(options); }, *parsed.command);
  } catch (const RecipeError& error) {
    return fail(error, error_format);
  } catch (const IdentityError& error) {
    return fail(kExitRecipe, error.what());
  } catch (const CheckpointError& error) {
    const bool invalid = error.kind() == CheckpointError::Kind::kInvalid;
    return fail(invalid ? kExitBadData : kExitFailed, error.what());
  } catch (const InUseError& error) {
    return fail(kExitInUse, error.what());
  } catch (const UsageError& error) {
    return fail(kExitUsage, error.what());
  } catch (const InvitationError& error) {
    return fail(kExitUsage, error.what());
  } catch (const LaunchError& error) {
    return fail(kExitUnavailable, error.what());
  } catch (const SchedulerError& error) {
    return fail(kExitUnavailable, error.what());
  } catch (const std::bad_alloc&) {
    return fail(kExitFailed, "out of memory");
  } catch (const std::exception& error) {
    return fail(kExitFailed, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is then an error of write()
  return run(argc, argv);
}
