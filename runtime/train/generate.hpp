#pragma once

#include <filesystem>

#include "recipes/job.hpp"
#include "runtime/train/host.hpp"

namespace fulgur {

// Continues spec.prompt with the model of a checkpoint and prints prompt and text through `host` as it
// comes, until spec.tokens tokens are added or the document ends. One rank.
//
// Every token costs a forward pass over the text so far. Throws CheckpointError, std::invalid_argument.
void generate(const Job& job, const std::filesystem::path& checkpoint, const GenerateSpec& spec,
              Host& host);

}  // namespace fulgur
