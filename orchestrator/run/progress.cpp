#include "orchestrator/run/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace fulgur {
namespace {

constexpr std::chrono::seconds kBetweenLines{3};
constexpr double kSmoothing = 0.1;  // the weight of the newest step

std::size_t terminal_width(std::FILE* stream) {
  if (const char* columns = std::getenv("COLUMNS"); columns != nullptr) {
    std::size_t width = 0;
    const auto [_, error] = std::from_chars(columns, columns + std::strlen(columns), width);
    if (error == std::errc{} && width > 0) return width;
  }
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

bool is_live(std::FILE* stream) {
  const char* terminal = std::getenv("TERM");
  return ::isatty(::fileno(stream)) == 1 &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

}  // namespace

std::string grouped(std::int64_t number) {
  if (number < 1000) return std::to_string(number);
  return fmt::format("{},{:03}", grouped(number / 1000), number % 1000);
}

std::string short_number(double number, std::string_view before_unit) {
  constexpr std::array kUnits{"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  while (number >= 1000 && unit + 1 < kUnits.size()) {
    number /= 1000;
    ++unit;
  }
  const int digits = unit == 0 || number >= 100 ? 0 : number >= 10 ? 1 : 2;
  return fmt::format("{:.{}f}{}{}", number, digits, before_unit, kUnits[unit]);
}

std::string clock_text(std::chrono::seconds duration) {
  const auto seconds = duration.count();
  if (seconds >= 3600)
    return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
}

namespace {

std::string use_text(const Utilisation& use) {
  auto text = fmt::format("{}FLOP/s a rank", short_number(use.tflops * 1e12, " "));
  if (use.mfu) text += fmt::format(", MFU {:.1f} %", 100 * *use.mfu);
  if (use.memory > 0)
    text += fmt::format(" | {:.1f} GiB", static_cast<double>(use.memory) / (1 << 30));
  return text;
}

}  // namespace

std::string progress_text(const StepDone& step, const Utilisation& use, std::int64_t num_steps,
                          double seconds_per_step) {
  const double tokens = step.tokens_per_second * step.seconds;  // of one step
  const double left = static_cast<double>(num_steps - step.step) * seconds_per_step;
  return fmt::format(
      "step {}/{} | {} tokens | loss {:.4f} | gradient norm {:.2f} | lr {:.2e} | {} tokens/s | "
      "{} | {} left",
      step.step, num_steps, short_number(static_cast<double>(step.tokens)), step.loss,
      step.gradient_norm, step.learning_rate,
      short_number(seconds_per_step > 0 ? tokens / seconds_per_step : 0), use_text(use),
      clock_text(std::chrono::seconds(std::llround(left))));
}

Progress::Progress(std::FILE* stream, std::int64_t num_steps)
    : stream_(stream), num_steps_(num_steps), live_(is_live(stream)) {}

Progress::~Progress() {
  finish();
}

void Progress::step(const StepDone& step, const Utilisation& use) {
  seconds_per_step_ =
      any_ ? (1 - kSmoothing) * seconds_per_step_ + kSmoothing * step.seconds : step.seconds;
  const auto now = Clock::now();
  const bool due = !any_ || step.step == num_steps_ || now - last_line_ >= kBetweenLines;
  any_ = true;
  auto text = progress_text(step, use, num_steps_, seconds_per_step_);
  if (live_) {
    live_line_ = text.substr(0, terminal_width(stream_) - 1);
    fmt::print(stream_, "\r{}\x1b[K", live_line_);
  } else if (due) {
    last_line_ = now;
    fmt::print(stream_, "{}\n", text);
  }
  std::fflush(stream_);
}

void Progress::note(const std::string& text) {
  if (live_line_.empty())
    fmt::print(stream_, "{}\n", text);
  else
    fmt::print(stream_, "\r\x1b[K{}\n{}", text, live_line_);
  std::fflush(stream_);
}

void Progress::finish() noexcept {
  if (live_line_.empty()) return;
  live_line_.clear();
  std::fputc('\n', stream_);
  std::fflush(stream_);
}

}  // namespace fulgur
