#include "runtime/comm/local.hpp"

#include <doctest/doctest.h>

#include "tests/contract/communicator_contract.hpp"

TEST_SUITE("runtime/comm/local") {
  TEST_CASE("the local backend keeps the contract of a communicator") {
    fulgur::test::run(
        {.make_group = [](const std::string& name, int size, std::chrono::milliseconds timeout) {
          return fulgur::make_local_group(name, size, timeout);
        }});
  }
}
