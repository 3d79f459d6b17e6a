#include "runtime/comm/flight_recorder.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

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
