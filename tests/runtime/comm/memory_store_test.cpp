#include "runtime/comm/memory_store.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "runtime/comm/communicator.hpp"

TEST_SUITE("runtime/comm/memory_store") {
  TEST_CASE("get waits for a key that another thread sets later") {
    fulgur::MemoryStore store;
    std::thread setting([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      store.set("a", std::string("x\0y", 3));
    });
    CHECK(store.get("a", std::chrono::seconds(30)) == std::string("x\0y", 3));
    setting.join();
    store.set("a", "second");
    CHECK(store.get("a", std::chrono::seconds(30)) == "second");
  }

  TEST_CASE("get of a key that nobody sets ends in kTimeout and names the key") {
    fulgur::MemoryStore store;
    store.set("dp/ucx/0", "here");
    try {
      store.get("dp/ucx/1", std::chrono::milliseconds(20));
      FAIL("expected a CommError");
    } catch (const fulgur::CommError& error) {
      CHECK(error.kind() == fulgur::CommError::Kind::kTimeout);
      CHECK(std::string(error.what()).find("dp/ucx/1") != std::string::npos);
    }
  }

  TEST_CASE("a value of more than 1 MiB is refused") {
    fulgur::MemoryStore store;
    const std::string largest(fulgur::kMaxStoreValueBytes, 'x');
    store.set("a", largest);
    CHECK_THROWS_AS(store.set("a", largest + "x"), std::invalid_argument);
  }
}
