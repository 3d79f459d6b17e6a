#include <fmt/format.h>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"

// orchestrator/CMakeLists.txt defines the macros, for this source only.

namespace fulgur {

int run_command(const VersionOptions& /*options*/) {
  fmt::print("fulgur {}\n", FULGUR_VERSION);
  fmt::print("  compiler  {} ({})\n", FULGUR_COMPILER, FULGUR_BUILD_TYPE);
  fmt::print("  UCX       {}\n", FULGUR_UCX_VERSION);
  fmt::print("  HDF5      {}\n", FULGUR_HDF5_VERSION);
  fmt::print("  OpenBLAS  {}\n", FULGUR_OPENBLAS_VERSION);
  fmt::print("  Boost     {}\n", FULGUR_BOOST_VERSION);
  fmt::print("  CUDA      {}\n", FULGUR_CUDA);
  return kExitDone;
}

}  // namespace fulgur
