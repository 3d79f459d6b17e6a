#include "runtime/comm/flight_recorder.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "tests/contract/host_array.hpp"
#include "tests/support/run_ranks.hpp"

namespace {

using fulgur::FlightRecorder;

fulgur::Operation all_gather(std::uint64_t number) {
  fulgur::Operation operation;
  operation.kind = fulgur::OperationKind::kAllGather;
  operation.number = number;
  operation.what = "layer 3";
  return operation;
}

}  // namespace

TEST_SUITE("runtime/comm/flight_recorder") {
  TEST_CASE("the ring keeps the latest records in order") {
    FlightRecorder recorder(3);
    for (std::uint64_t k = 1; k <= 5; ++k)
      recorder.queued("cp", all_gather(k));
    const auto records = recorder.snapshot();
    REQUIRE(records.size() == 3);
    CHECK(records[0].number == 3);
    CHECK(records[2].number == 5);
    CHECK(records[2].group == "cp");
    CHECK(records[2].what == "layer 3");
  }

  TEST_CASE("a ticket whose record is overwritten changes no other record") {
    FlightRecorder recorder(2);
    const auto old = recorder.queued("cp", all_gather(1));
    recorder.queued("cp", all_gather(2));
    recorder.queued("cp", all_gather(3));
    recorder.ended(old, FlightRecorder::State::kDone);
    recorder.started(0);
    for (const auto& record : recorder.snapshot())
      CHECK(record.state == FlightRecorder::State::kQueued);
  }

  TEST_CASE("the last unfinished operation is the one that started last, else the oldest queued") {
    FlightRecorder recorder(8);
    CHECK(!recorder.last_unfinished());
    const auto one = recorder.queued("dp", all_gather(1));
    const auto two = recorder.queued("cp", all_gather(12));
    CHECK(recorder.last_unfinished()->number == 1);
    recorder.started(one);
    CHECK(recorder.last_unfinished()->number == 1);
    recorder.started(two);
    REQUIRE(recorder.last_unfinished()->number == 12);
    CHECK(to_string(*recorder.last_unfinished()) ==
          "all_gather #12 (layer 3) of group cp: started");
    recorder.ended(two, FlightRecorder::State::kFailed);
    CHECK(recorder.last_unfinished()->number == 1);
    recorder.ended(one, FlightRecorder::State::kDone);
    CHECK(!recorder.last_unfinished());
  }

  TEST_CASE("a group has the number of the latest collective that was entered, not queued") {
    FlightRecorder recorder;
    recorder.joined("cp");
    recorder.joined("dp");
    const auto first = recorder.queued("cp", all_gather(1));
    const auto second = recorder.queued("cp", all_gather(2));
    recorder.started(first);
    CHECK(recorder.groups().at("cp") == 1);
    CHECK(recorder.groups().at("dp") == 0);
    REQUIRE(recorder.oldest_started());
    CHECK(recorder.oldest_started()->number == 1);
    recorder.started(second);
    CHECK(recorder.oldest_started()->number == 1);
    recorder.ended(first, FlightRecorder::State::kDone);
    CHECK(recorder.oldest_started()->number == 2);
    CHECK(recorder.groups().at("cp") == 2);
    auto send = all_gather(9);
    send.kind = fulgur::OperationKind::kSend;
    recorder.started(recorder.queued("cp", send));
    CHECK(recorder.groups().at("cp") == 2);  // sends have numbers of their own
  }

  TEST_CASE("time passes as occupied only while an operation is under way, once for all of them") {
    FlightRecorder recorder(2);
    const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
    pause();
    CHECK(recorder.occupied() == FlightRecorder::Clock::duration::zero());
    const auto begin = FlightRecorder::Clock::now();
    const auto first = recorder.queued("cp", all_gather(1));
    recorder.started(first);
    const auto second = recorder.queued("cp", all_gather(2));
    recorder.started(second);
    pause();
    recorder.ended(first, FlightRecorder::State::kDone);
    pause();
    recorder.queued("cp", all_gather(3));
    recorder.queued("cp", all_gather(4));  // overwrites the second, which is then no more under way
    const auto passed = FlightRecorder::Clock::now() - begin;
    const auto occupied = recorder.occupied();
    CHECK(occupied >= std::chrono::milliseconds(4));
    CHECK(occupied <= passed);
    pause();
    CHECK(recorder.occupied() == occupied);
  }

  TEST_CASE("a capacity of zero is refused") {
    CHECK_THROWS_AS(FlightRecorder(0), std::invalid_argument);
  }

  TEST_CASE("a communicator records what it has done and what it waits for") {
    FlightRecorder recorder;
    auto group = fulgur::make_local_group("dp", 2, fulgur::test::kGenerous, &recorder);
    fulgur::test::run_ranks(group, [](fulgur::Communicator& ranks, fulgur::Stream& stream) {
      std::vector<float> in(5);
      std::vector<float> out(10);
      ranks.all_gather(fulgur::test::as_tensor(in), fulgur::test::as_tensor(out), stream, "logits");
      stream.synchronize();
    });
    const auto records = recorder.snapshot();
    REQUIRE(records.size() == 2);
    for (const auto& record : records) {
      CHECK(record.state == FlightRecorder::State::kDone);
      CHECK(record.what == "logits");
      CHECK(record.number == 1);
      CHECK(record.elements == 10);
      CHECK(record.queued <= record.started);
      CHECK(record.started <= record.ended);
    }
    fulgur::Stream stream(fulgur::Device::kCpu);
    group[0]->barrier(stream, "end");
    group.clear();
    CHECK(recorder.snapshot().back().state == FlightRecorder::State::kFailed);
    CHECK_THROWS_AS(stream.synchronize(), fulgur::CommError);
  }
}
