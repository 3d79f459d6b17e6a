#include "runtime/comm/ucx.hpp"

#include <doctest/doctest.h>

#include "tests/contract/communicator_contract.hpp"
#include "tests/runtime/comm/ucx_group.hpp"

TEST_SUITE("runtime/comm/ucx") {
  TEST_CASE("the UCX backend keeps the contract of a communicator") {
    fulgur::test::run({.make_group = fulgur::test::make_ucx_group});
  }
}
