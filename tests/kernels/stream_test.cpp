#include "kernels/stream.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <exception>
#include <future>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace fulgur {

TEST_SUITE("kernels/stream") {
  TEST_CASE("work is done in the order in which it was queued") {
    Stream stream(Device::kCpu);
    std::vector<int> seen;
    for (int i = 0; i < 10000; ++i)
      stream.run([&seen, i] { seen.push_back(i); });
    stream.synchronize();
    REQUIRE(seen.size() == 10000);
    for (int i = 0; i < 10000; ++i)
      REQUIRE(seen[static_cast<std::size_t>(i)] == i);
  }

  TEST_CASE("queueing does not wait for the work") {
    Stream stream(Device::kCpu);
    std::promise<void> gate;
    stream.run([&] { gate.get_future().wait(); });
    const Event behind = stream.record();
    CHECK_FALSE(behind.has_passed());
    gate.set_value();
    behind.synchronize();
    CHECK(behind.has_passed());
  }

  TEST_CASE("an event covers what was queued before it and nothing after") {
    Stream stream(Device::kCpu);
    std::promise<void> gate;
    std::atomic<int> done = 0;
    stream.run([&] { done = 1; });
    const Event first = stream.record();
    stream.run([&] {
      gate.get_future().wait();
      done = 2;
    });
    first.synchronize();
    CHECK(done == 1);
    gate.set_value();
    stream.synchronize();
    CHECK(done == 2);
  }

  TEST_CASE("a stream holds its later work until another stream's event has passed") {
    Stream producer(Device::kCpu), consumer(Device::kCpu);
    std::promise<void> gate;
    std::atomic<int> value = 0;
    int seen = -1;
    producer.run([&] {
      gate.get_future().wait();
      value = 7;
    });
    consumer.wait(producer.record());
    consumer.run([&] { seen = value; });
    gate.set_value();
    consumer.synchronize();
    CHECK(seen == 7);
  }

  TEST_CASE("two streams can hand work back and forth") {
    Stream a(Device::kCpu), b(Device::kCpu);
    std::vector<int> log;  // no lock: the events alone order the accesses
    for (int i = 0; i < 500; ++i) {
      a.run([&log, i] { log.push_back(2 * i); });
      b.wait(a.record());
      b.run([&log, i] { log.push_back(2 * i + 1); });
      a.wait(b.record());
    }
    a.synchronize();
    REQUIRE(log.size() == 1000);
    for (int i = 0; i < 1000; ++i)
      REQUIRE(log[static_cast<std::size_t>(i)] == i);
  }

  TEST_CASE("a failure drops the work behind it, and synchronize throws it once") {
    Stream stream(Device::kCpu);
    std::promise<void> gate;
    bool ran = false;
    stream.run([&] { gate.get_future().wait(); });
    stream.run([] { throw std::runtime_error("first"); });
    stream.run([] { throw std::runtime_error("second"); });
    stream.run([&] { ran = true; });
    const Event behind = stream.record();
    gate.set_value();
    behind.synchronize();
    CHECK_THROWS_WITH_AS(stream.synchronize(), "first", std::runtime_error);
    CHECK_FALSE(ran);

    stream.run([&] { ran = true; });
    CHECK_NOTHROW(stream.synchronize());
    CHECK(ran);
  }

  TEST_CASE("a failure set from outside is one of queued work, also when the stream has gone") {
    const auto failure_of = [](const char* what) {
      return std::make_exception_ptr(std::runtime_error(what));
    };
    std::shared_ptr<StreamFailure> kept;
    {
      Stream stream(Device::kCpu);
      kept = stream.failure();
      bool ran = false;
      std::thread([&] { kept->set(failure_of("outside")); }).join();
      kept->set(failure_of("later"));
      stream.run([&] { ran = true; });
      CHECK_THROWS_WITH_AS(stream.synchronize(), "outside", std::runtime_error);
      CHECK_FALSE(ran);
      CHECK_NOTHROW(stream.synchronize());
    }
    kept->set(failure_of("nobody hears this"));
    CHECK(kept->is_set());
  }

  TEST_CASE("what queued work holds is released before anybody hears that it is done") {
    Stream stream(Device::kCpu);
    std::promise<void> before, behind;
    auto held = std::make_shared<int>(1);
    stream.run([&] { before.get_future().wait(); });
    stream.run([held] {});
    const Event done = stream.record();
    stream.run([&] { behind.get_future().wait(); });
    before.set_value();
    done.synchronize();
    CHECK(held.use_count() == 1);
    behind.set_value();
    stream.synchronize();
  }

  TEST_CASE("the destructor waits for the queued work, and drops its exception") {
    std::atomic<int> done = 0;
    {
      Stream stream(Device::kCpu);
      for (int i = 0; i < 100; ++i)
        stream.run([&] { ++done; });
      stream.run([] { throw std::runtime_error("nobody listens"); });
    }
    CHECK(done == 100);
  }

  TEST_CASE("an event outlives its stream") {
    Event event;
    CHECK(event.has_passed());
    {
      Stream stream(Device::kCpu);
      stream.run([] {});
      event = stream.record();
    }
    CHECK(event.has_passed());
    event.synchronize();
  }

  TEST_CASE("several threads may wait for one stream") {
    Stream stream(Device::kCpu);
    std::promise<void> gate;
    std::atomic<int> done = 0;
    stream.run([&] { gate.get_future().wait(); });
    std::vector<std::thread> waiters;
    for (int i = 0; i < 4; ++i) {
      stream.run([&] { ++done; });
      waiters.emplace_back([event = stream.record(), &done, i] {
        event.synchronize();
        CHECK(done >= i + 1);
      });
    }
    gate.set_value();
    for (auto& waiter : waiters)
      waiter.join();
  }
}

}  // namespace fulgur
