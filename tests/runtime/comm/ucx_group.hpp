#pragma once

#include <chrono>
#include <string>

#include "runtime/comm/memory_store.hpp"
#include "runtime/comm/ucx.hpp"
#include "tests/support/run_ranks.hpp"

namespace fulgur::test {

// A UCX group whose ranks are threads of this process, each with a context of its own as it would
// have in a process of its own.
inline Group make_ucx_group(const std::string& name, int size, std::chrono::milliseconds timeout) {
  MemoryStore store;
  return make_on_threads(size, Device::kCpu, [&](int rank) {
    const UcxContext context;
    return make_ucx_communicator(context, store, {name, rank, size, timeout});
  });
}

}  // namespace fulgur::test
