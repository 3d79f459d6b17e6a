#include <fmt/format.h>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/run/run_directory.hpp"
#include "orchestrator/run/single_task.hpp"
#include "runtime/checkpoint/folders.hpp"
#include "runtime/checkpoint/hf.hpp"
#include "runtime/checkpoint/inspect.hpp"

namespace fulgur {
namespace {

// A run's name from its directory, as the user named it.
std::string name_of(const std::filesystem::path& directory) {
  const auto path = std::filesystem::absolute(directory).lexically_normal();
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

// A job that has the model and is otherwise the smallest that there is.
Job job_around(const ModelSpec& model, const std::filesystem::path& directory) {
  Job job;
  job.name = name_of(directory);
  job.run_directory = directory.string();
  job.model = model;
  job.train.steps = job.train.sequence_length = job.train.batch = job.train.micro_batch = 1;
  return job;
}

}  // namespace

int run_command(const ImportOptions& options) {
  const auto model = import_hf_config(options.source);
  const RunDirectory directory(options.into);
  const auto root = directory.checkpoints();
  if (!list_checkpoints(root).empty())
    throw UsageError(fmt::format("import: {} has checkpoints already", root.string()));
  SingleTask task;
  task.task = "import_hf";
  task.job = job_around(model, options.into);
  task.source = options.source;
  task.destination = root;
  return run_single_task(task);
}

int run_command(const ExportOptions& options) {
  SingleTask task;
  task.task = "export_hf";
  task.checkpoint = find_checkpoint(options.where);
  task.job = describe_checkpoint(task.checkpoint).job;
  task.destination = options.destination;
  return run_single_task(task);
}

}  // namespace fulgur
