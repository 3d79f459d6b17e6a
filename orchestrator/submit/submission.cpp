#include "orchestrator/submit/submission.hpp"

#include <boost/json.hpp>
#include <cerrno>
#include <system_error>

#include "orchestrator/run/journal.hpp"
#include "orchestrator/run/text_file.hpp"
#include "orchestrator/submit/scheduler.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

constexpr const char* kFile = "submission.json";

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream << text << std::flush;
  if (!stream) throw std::system_error(errno, std::generic_category(), path.string());
}

}  // namespace

Submission submit_run(const BatchScript& script, const std::filesystem::path& run_directory) {
  std::filesystem::create_directories(run_directory);
  Submission submission;
  submission.script = run_directory / "batch.sh";
  write(submission.script, batch_script(script));
  submission.job = submit_to_slurm(submission.script);
  submission.time = timestamp();
  const json::object object{{"cluster", "slurm"},
                            {"job", submission.job},
                            {"script", submission.script.string()},
                            {"time", submission.time}};
  write(run_directory / kFile, json::serialize(object) + "\n");
  return submission;
}

std::optional<Submission> read_submission(const std::filesystem::path& run_directory) {
  Submission submission;
  try {
    const auto value = json::parse(text_of_file(run_directory / kFile).value_or(""));
    submission.job = value.at("job").as_string();
    submission.script = std::string(value.at("script").as_string());
    submission.time = value.at("time").as_string();
  } catch (const std::exception&) {
    return std::nullopt;
  }
  return submission;
}

}  // namespace fulgur
