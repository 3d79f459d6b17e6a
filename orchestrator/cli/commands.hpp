#pragma once

#include <string>

#include "orchestrator/cli/options.hpp"

namespace fulgur {

// One function per command, each in a file of its own. They print their results on stdout and return
// the exit code; what went wrong is thrown (main.cpp knows the exit codes).
int run_command(const TrainOptions& options);
int run_command(const CheckOptions& options);
int run_command(const PlanOptions& options);
int run_command(const SweepOptions& options);
int run_command(const ParityOptions& options);
int run_command(const PowerOptions& options);
int run_command(const GenerateOptions& options);
int run_command(const ListOptions& options);
int run_command(const ShowOptions& options);
int run_command(const VerifyOptions& options);
int run_command(const ImportOptions& options);
int run_command(const ExportOptions& options);
int run_command(const DoctorOptions& options);
int run_command(const RecipeShowOptions& options);
int run_command(const RecipeExplainOptions& options);
int run_command(const RecipeSchemaOptions& options);
int run_command(const RecipeDiffOptions& options);
int run_command(const RecipeFormatOptions& options);
int run_command(const AgentOptions& options);
int run_command(const StatusOptions& options);
int run_command(const RunsOptions& options);
int run_command(const LogsOptions& options);
int run_command(const CancelOptions& options);
int run_command(const RenderOptions& options);
int run_command(const VersionOptions& options);

}  // namespace fulgur
