#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/comm/memory_store.hpp"
#include "runtime/comm/ucx.hpp"
#include "tests/support/run_ranks.hpp"

namespace fulgur::test {

// A UCX group whose ranks are threads of this process, each with a context of its own as it would
// have in a process of its own.
inline Group make_ucx_group(const std::string& name, int size, std::chrono::milliseconds timeout) {
  MemoryStore store;
  Group group(static_cast<std::size_t>(size));
  std::vector<std::exception_ptr> failures(group.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      const auto r = static_cast<std::size_t>(rank);
      try {
        const UcxContext context;
        group[r] = make_ucx_communicator(context, store, {name, rank, size, timeout});
      } catch (...) {
        failures[r] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return group;
}

}  // namespace fulgur::test
