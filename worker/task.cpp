#include "worker/task.hpp"

#include <fmt/format.h>

#include <new>
#include <stdexcept>

#include "cluster/exit_codes.hpp"
#include "kernels/devices.hpp"
#include "recipes/job_json.hpp"
#include "recipes/rules/rules.hpp"
#include "runtime/checkpoint/hf.hpp"
#include "runtime/data/corpus.hpp"
#include "runtime/train/generate.hpp"
#include "runtime/train/trainer.hpp"
#include "worker/control_host.hpp"
#include "worker/control_store.hpp"
#include "worker/library_facts.hpp"
#include "worker/preflight.hpp"
#include "worker/workplace.hpp"

namespace fulgur {
namespace {

void check_rules(const Job& job) {
  std::string broken;
  for (const auto& violation : violations(job))
    broken += (broken.empty() ? "" : "; ") + violation.message;
  if (!broken.empty()) throw JobError("the job breaks a rule: " + broken);
}

// Only what generating needs of a job must be right: an imported model has no data to train on.
void check_model_rules(const Job& job) {
  for (const auto& violation : violations(job)) {
    const auto& field = violation.fields.front();
    if (field.starts_with("model.") || field.starts_with("sample."))
      throw JobError("the job breaks a rule: " + violation.message);
  }
}

std::chrono::steady_clock::duration seconds(double count) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(count));
}

std::filesystem::path checkpoints_of(const Job& job) {
  return std::filesystem::path(job.run_directory) / "checkpoints";
}

// Without a reference this run is one.
Recording recording_of(const Assignment& assignment) {
  if (assignment.source.empty()) return {.double_sums = true};
  return {.reference = assignment.source};
}

std::string train_task(const Assignment& assignment, const Job& job, ControlClient& client,
                       FlightRecorder& recorder) {
  check_rules(job);
  ControlHost host(client, checkpoints_of(job));
  ControlStore store(client);
  const Workplace workplace(job, store, recorder, Rank{static_cast<int>(assignment.rank)},
                            client.local());
  if (workplace.place().device == Device::kCuda) client.send(OnGpu{cuda_device_name()});
  std::optional<std::filesystem::path> resume;
  if (!assignment.checkpoint.empty()) resume = assignment.checkpoint;
  const auto place = workplace.place();
  const auto end = assignment.task == "record"
                       ? record_steps(job, place, host, recording_of(assignment))
                   : assignment.task == "measure" ? measure_steps(job, place, host)
                                                  : train(job, place, resume, host);
  switch (end) {
    case TrainEnd::kComplete:
      return "complete";
    case TrainEnd::kStopped:
      return "stopped";
    case TrainEnd::kNextLayout:
      break;
  }
  return std::string(kDoneForNextLayout);
}

std::string generate_task(const Assignment& assignment, const Job& job, ControlClient& client) {
  check_model_rules(job);
  ControlHost host(client, checkpoints_of(job));
  generate(job, assignment.checkpoint, job.sample, host);
  return client.stop_requested() ? "stopped" : "complete";
}

std::string import_task(const Assignment& assignment, const Job& job, ControlClient& client) {
  client.enter("import");
  const auto checkpoint = import_hf(assignment.source, assignment.destination, job);
  client.send(Print{"imported: " + checkpoint.string()});
  return "complete";
}

std::string export_task(const Assignment& assignment, ControlClient& client) {
  client.enter("export");
  const auto remarks = export_hf(assignment.checkpoint, assignment.destination);
  for (const auto& remark : remarks)
    client.send(Print{"note: " + remark + "\n"});
  client.send(Print{"exported: " + assignment.destination});
  return "complete";
}

std::string preflight_task(const Assignment& assignment, ControlClient& client,
                           FlightRecorder& recorder) {
  client.enter("preflight");
  ControlStore store(client);
  client.send(Print{preflight_report(static_cast<int>(assignment.rank),
                                     static_cast<int>(assignment.world), store, recorder)});
  return "complete";
}

std::string doctor_task(ControlClient& client) {
  client.enter("doctor");
  client.send(Print{to_json(gather_library_facts())});
  return "complete";
}

std::string do_task(const Assignment& assignment, ControlClient& client, FlightRecorder& recorder) {
  const auto job = job_from_json(assignment.job);
  client.start_heartbeat(seconds(job.cluster.heartbeat_seconds));
  if (assignment.task == "train" || assignment.task == "record" || assignment.task == "measure")
    return train_task(assignment, job, client, recorder);
  if (assignment.task == "generate") return generate_task(assignment, job, client);
  if (assignment.task == "import_hf") return import_task(assignment, job, client);
  if (assignment.task == "export_hf") return export_task(assignment, client);
  if (assignment.task == "preflight") return preflight_task(assignment, client, recorder);
  if (assignment.task == "doctor") return doctor_task(client);
  throw std::invalid_argument("unknown task " + assignment.task);
}

Failed failed(std::string_view kind, const std::exception& error) {
  return {.kind = std::string(kind), .message = error.what()};
}

}  // namespace

Message run_task(const Assignment& assignment, ControlClient& client, FlightRecorder& recorder) {
  try {
    return Done{do_task(assignment, client, recorder)};
  } catch (const JobError& error) {
    return failed(failure::kRecipe, error);
  } catch (const DataError& error) {
    return failed(failure::kData, error);
  } catch (const CheckpointError& error) {
    const bool invalid = error.kind() == CheckpointError::Kind::kInvalid;
    return failed(invalid ? failure::kCheckpoint : failure::kDisk, error);
  } catch (const DivergedError& error) {
    return failed(failure::kDiverged, error);
  } catch (const CommError& error) {
    return failed(failure::kComm, error);
  } catch (const std::bad_alloc&) {
    return Failed{.kind = std::string(failure::kOther), .message = "out of memory"};
  } catch (const std::exception& error) {
    return failed(failure::kOther, error);
  }
}

}  // namespace fulgur
