#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "cluster/wire/messages.hpp"
#include "orchestrator/run/line_file.hpp"
#include "orchestrator/run/utilisation.hpp"

namespace fulgur {

// Drops the steps behind `last` from a metrics file, which a run that goes on from step `last` does
// again, and a last line that was cut short. The file is replaced as a whole. Returns how many lines
// were dropped; a missing file has none. Throws std::system_error.
std::int64_t drop_steps_behind(const std::filesystem::path& metrics, std::int64_t last);

// {"step":1,"tokens":4096,"loss":5.5,...}: numbers with the shortest digits that read back exactly.
std::string metrics_line(const StepDone& step, const Utilisation& use);

// UTC, "2026-01-31T12:00:00Z".
std::string timestamp();

// The events.jsonl of a run.
class EventLog {
 public:
  EventLog(const std::filesystem::path& path, int attempt) : file_(path), attempt_(attempt) {}

  // {"time":"...","attempt":1,"event":"stopping","text":"SIGTERM"}
  void write(const std::string& event, const std::string& text);

 private:
  LineFile file_;
  int attempt_;
};

}  // namespace fulgur
