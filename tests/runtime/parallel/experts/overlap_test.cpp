#include <doctest/doctest.h>

#include <future>
#include <map>
#include <string>
#include <vector>

#include "runtime/comm/flight_recorder.hpp"
#include "runtime/parallel/experts/expert_exchange.hpp"
#include "runtime/parallel/experts/global_router.hpp"
#include "tests/runtime/parallel/experts/expert_oracle.hpp"
#include "tests/runtime/parallel/experts/expert_ranks.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::Ints;
using Names = std::vector<std::string>;

const test::MakeGroup kLocal = [](const std::string& name, int size,
                                  std::chrono::milliseconds timeout) {
  return make_local_group(name, size, timeout);
};

// A layer of 4 experts on one rank of a block, with the tokens of that rank.
class Layer {
 public:
  explicit Layer(const ExpertGroups& groups)
      : in_(test::random_expert_inputs(8, 4, 2, 4, 4)),
        w13_({4 / groups.ep.size(), 2, 4 / groups.etp.size(), 4}),
        w2_({4 / groups.ep.size(), 4, 4 / groups.etp.size()}),
        out_(in_.x.dims()),
        dx_(in_.x.dims()),
        dweights_(in_.weights.dims()),
        exchange_(groups, {w13_, w2_}, {w13_, w2_}) {}

  void forward(const Context& ctx) {
    exchange_.forward(
        ctx, {.x = in_.x, .weights = in_.weights, .experts = in_.experts, .out = out_}, saved_);
  }
  void backward(const Context& ctx) {
    exchange_.backward(ctx, ctx,
                       {.dout = in_.dout, .weights = in_.weights, .dx = dx_, .dweights = dweights_},
                       saved_, [&](const ExpertExchange::WeightWork& work) { work(ctx.stream); });
  }

 private:
  test::ExpertInputs in_;
  Floats w13_, w2_, out_, dx_, dweights_;
  ExpertExchange exchange_;
  ExpertExchange::Saved saved_;
};

// Holds a stream until it is opened.
class Gate {
 public:
  explicit Gate(Stream& stream) {
    stream.run([opened = opened_.get_future().share()] { opened.wait(); });
  }
  void open() { opened_.set_value(); }

 private:
  std::promise<void> opened_;
};

// Each of two ranks has a single row, which goes to the other one.
GroupPlan swap(int rank) {
  const auto there = rank == 0 ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{1, 0};
  return {.send = there,
          .receive = there,
          .gather = {1},
          .offsets = {0, 1},
          .sources = {0},
          .arrivals = {0}};
}

}  // namespace

TEST_SUITE("runtime/parallel/experts/overlap") {
  TEST_CASE("with all experts on the rank nothing waits on the host") {
    test::ExpertRanks ranks(1, 1, 1, kLocal);
    ranks.run(4, [](int, const ExpertGroups& groups, Stream& stream) {
      Arena arena(Device::kCpu);
      const Context ctx{stream, arena};
      Layer layer(groups);
      Gate gate(stream);
      layer.forward(ctx);
      layer.backward(ctx);
      gate.open();
      stream.synchronize();
    });
  }

  TEST_CASE("the global router does not wait on the host") {
    test::run_ranks(2, [](Communicator& stage, Stream& stream) {
      Arena arena(Device::kCpu);
      Ints experts({4, 2}), kept({4, 2}), dropped({1}), local({1});
      Gate gate(stream);
      drop_over_capacity({stream, arena}, stage, {.length = 8, .cp = 2},
                         {.experts = experts,
                          .kept = kept,
                          .dropped = dropped,
                          .dropped_local = local,
                          .num_experts = 3});
      gate.open();
      stream.synchronize();
    });
  }

  TEST_CASE("a group leaves while the one before it is worked on, and that one returns meanwhile") {
    test::ExpertRanks ranks(1, 2, 1, kLocal);
    ranks.run(2, [](int rank, const ExpertGroups& groups, Stream& stream) {
      Arena arena(Device::kCpu);
      const Context ctx{stream, arena};
      const std::vector<GroupPlan> plans(2, swap(rank));
      Ints table({1}, 0), offsets({2}, {0, 1});
      const std::vector<RowTables> tables(2, RowTables{offsets, table, table});
      RowExchange exchange(ctx, groups, plans, tables,
                           {.rows = 1, .width = 1, .dtype = DType::kFloat32});
      std::vector<Floats> worked(2, Floats({1, 1})), results(2, Floats({1, 1}));
      const auto send = [&](std::size_t group) {
        const auto row = exchange.outgoing(group, 1);
        stream.run([row, rank, group] {
          *row.as<float>() = static_cast<float>(10 * (rank + 1)) + static_cast<float>(group);
        });
        exchange.send(group);
      };
      // What the stream is held for has to happen beside it.
      const auto hold_until_moved = [&] {
        stream.run([moved = groups.ep_stream.record()] { moved.synchronize(); });
      };
      const auto work = [&](std::size_t group) {
        exchange.receive(group, worked[group]);
        hold_until_moved();
        stream.run([&worked, group] { worked[group].values[0] *= 2; });
        exchange.give_back(group, worked[group], results[group]);
      };
      send(0);
      send(1);
      work(0);
      work(1);
      hold_until_moved();
      exchange.finish(0);
      exchange.finish(1);
      stream.synchronize();
      CHECK(worked[0].values[0] == 2 * static_cast<float>(10 * (2 - rank)));
      CHECK(results[0].values[0] == 2 * static_cast<float>(10 * (rank + 1)));
      CHECK(results[1].values[0] == 2 * static_cast<float>(10 * (rank + 1) + 1));
    });
  }

  TEST_CASE("a group is sent before the one before it is given back, forward and backward") {
    FlightRecorder recorder(64);
    const test::MakeGroup recorded = [&](const std::string& name, int size,
                                         std::chrono::milliseconds timeout) {
      return make_local_group(name, size, timeout, name == "ep0.0" ? &recorder : nullptr);
    };
    test::ExpertRanks ranks(1, 2, 1, recorded);
    ranks.run(3, [](int, const ExpertGroups& groups, Stream& stream) {
      Arena arena(Device::kCpu);
      const Context ctx{stream, arena};
      Layer layer(groups);
      layer.forward(ctx);
      layer.backward(ctx);
      stream.synchronize();
    });
    std::map<std::uint64_t, std::string> operations;  // by their number, the same on both ranks
    for (const auto& record : recorder.snapshot())
      operations[record.number] = record.what;
    Names names;
    for (const auto& [number, what] : operations)
      names.push_back(what);
    const std::string to = "rows to experts", from = "rows from experts";
    CHECK(names == Names{"rows of experts", to, to, from, to, from, from,  //
                         to, to, from, to, from, from});
  }
}

}  // namespace fulgur
