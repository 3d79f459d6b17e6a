#include "worker/library_facts.hpp"

#include "kernels/libraries.hpp"
#include "runtime/checkpoint/hdf5_version.hpp"
#include "runtime/comm/nccl.hpp"
#include "runtime/comm/ucx_report.hpp"

namespace fulgur {
namespace {

void add_cuda(LibraryFacts& facts) {
  const auto cuda = cuda_library();
  facts.cuda = cuda.built_in;
  facts.cuda_runtime = cuda.runtime;
  facts.cuda_driver = cuda.driver;
  facts.cuda_problem = cuda.problem;
  for (const auto& gpu : cuda.gpus) {
    facts.gpus.push_back({.name = gpu.name,
                          .memory_bytes = static_cast<std::int64_t>(gpu.memory_bytes),
                          .major = gpu.major,
                          .minor = gpu.minor,
                          .problem = gpu.problem});
  }
  facts.nccl = nccl_version();
}

void add_ucx(LibraryFacts& facts) {
  facts.ucx = ucx_version();
  try {
    auto found = report(UcxContext());
    facts.ucx_transports = std::move(found.transports);
    facts.ucx_lanes = std::move(found.lanes);
  } catch (const CommError& error) {
    facts.ucx_problem = error.what();
  }
}

}  // namespace

LibraryFacts gather_library_facts() {
  LibraryFacts facts;
  add_cuda(facts);
  add_ucx(facts);
  const auto hdf5 = hdf5_version();
  facts.hdf5 = hdf5.number;
  facts.hdf5_thread_safe = hdf5.thread_safe;
  facts.blas = blas_library();
  return facts;
}

}  // namespace fulgur
