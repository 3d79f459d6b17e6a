#pragma once

#include <array>
#include <vector>

#include "kernels/context.hpp"
#include "runtime/parallel/experts/exchange_plan.hpp"
#include "runtime/parallel/experts/expert_groups.hpp"

namespace fulgur {

// A GroupPlan's tables on the device.
struct RowTables {
  Tensor offsets;            // [E/ep + 1] int32
  Tensor sources, arrivals;  // [R] int32
};

// Carries the rows of one layer's token groups to the ranks of their experts and back, in one
// direction of the pass (docs/math.md 2.4). For each group, in this order, with others in between:
//
//   outgoing   the caller's work on ctx.stream fills it, in the rank's own order
//   send       all-to-all over ep, then all-gather over etp, beside ctx.stream
//   receive    ctx.stream waits for the rows and brings them into expert order
//   give_back  from expert order: reduce-scatter over etp, which adds up the parts of the inner
//              columns, then all-to-all back over ep, beside ctx.stream
//   finish     ctx.stream waits until the rows are back in the rank's own order
//
// Every rank calls the same for the same groups in the same order. A group may be sent when the
// group two before it has been given back: there are two sets of buffers, so that one group travels
// while another is worked on. The memory is ctx.arena's: the caller's Scope holds it until every
// group is finished.
//
// Cost for a group: a rank sends and receives its rows over ep and all R rows over etp, twice each.
class RowExchange {
 public:
  // The most rows of any outgoing(), and what a row is.
  struct Most {
    std::int64_t rows, width;
    DType dtype;
  };
  // At least one of ep and etp is larger than 1. `plans` and `tables` have an entry for each token
  // group and outlive this.
  RowExchange(const Context& ctx, const ExpertGroups& groups, const std::vector<GroupPlan>& plans,
              const std::vector<RowTables>& tables, const Most& outgoing);

  Tensor outgoing(std::size_t group,
                  std::int64_t rows) const;  // [rows, C]; num_sent of them travel
  void send(std::size_t group);
  void receive(std::size_t group, const Tensor& to) const;                  // [R, C]
  void give_back(std::size_t group, const Tensor& from, const Tensor& to);  // [R, C], [num_sent, C]
  void finish(std::size_t group) const;

 private:
  struct Buffers {
    Tensor outgoing, received, gathered;
  };
  const Buffers& buffers(std::size_t group) const { return buffers_[group % 2]; }
  Tensor received(std::size_t group) const;  // rows that came over ep
  Tensor arrived(std::size_t group) const;   // rows in source order
  std::vector<std::int64_t> elements(const std::vector<std::int64_t>& rows) const;

  const Context& ctx_;
  const ExpertGroups& groups_;
  const std::vector<GroupPlan>& plans_;
  const std::vector<RowTables>& tables_;
  std::int64_t width_;  // C
  std::array<Buffers, 2> buffers_;
  std::vector<Event> sent_, returned_;  // of each group
};

}  // namespace fulgur
