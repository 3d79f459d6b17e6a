#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "cluster/wire/messages.hpp"
#include "orchestrator/run/utilisation.hpp"

namespace fulgur {

// "1,234,567", "1.23M", "1:02:03"; none is negative.
std::string grouped(std::int64_t number);
std::string short_number(double number, std::string_view before_unit = "");
std::string clock_text(std::chrono::seconds duration);

// "step 120/300 | 491k tokens | loss 2.5441 | gradient norm 0.92 | lr 2.1e-03 | 16.2k tokens/s |
// 412 TFLOP/s a rank, MFU 41.7 % | 96.1 GiB | 0:42 left"
std::string progress_text(const StepDone& step, const Utilisation& use, std::int64_t num_steps,
                          double seconds_per_step);

// How far a run has come, on a stream: on a terminal one line that is written over, elsewhere a line now
// and then, and for the first and the last step.
class Progress {
 public:
  Progress(std::FILE* stream, std::int64_t num_steps);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  // leaves the terminal with the line complete

  void step(const StepDone& step, const Utilisation& use);
  // A line of its own, above the live line.
  void note(const std::string& text);
  // Ends the live line.
  void finish() noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  std::FILE* stream_;
  std::int64_t num_steps_;
  bool live_;
  std::string live_line_;  // on the terminal now
  double seconds_per_step_ = 0;
  Clock::time_point last_line_{};
  bool any_ = false;
};

}  // namespace fulgur
