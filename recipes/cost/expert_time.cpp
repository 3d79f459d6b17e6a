#include <functional>
#include <vector>

#include "recipes/cost/layer_time.hpp"

namespace fulgur {
namespace {

double as_double(std::int64_t count) {
  return static_cast<double>(count);
}

// Of one token group.
struct GroupWork {
  const RankShape& s;
  double imbalance;

  double worked() const { return as_double(s.worked_rows(imbalance)); }
  double sent_bytes() const { return as_double(s.sent_rows() * s.hidden) * s.activation_bytes; }
  double received_bytes() const {
    return as_double(s.received_rows(imbalance) * s.hidden) * s.activation_bytes;
  }
  double worked_bytes() const { return worked() * as_double(s.hidden) * s.activation_bytes; }
  double inner_bytes() const { return worked() * as_double(s.inner) * s.activation_bytes; }

  // The two products of all experts, in or out of one direction.
  double product_time(const Rates& rates) const {
    const double rows = worked() / as_double(s.local_experts);
    const double flops = 2 * worked() * as_double(s.hidden) * as_double(s.inner);
    return rates.experts(2 * flops, rows) + rates.experts(flops, rows);
  }
};

void time_router(PassClock& clock, const RankShape& s, int products) {
  const auto& rates = clock.rates();
  const double flops = 2 * as_double(s.rows) * as_double(s.hidden) * as_double(s.experts);
  const Rates exact{rates.hardware, Precision::kFloat32};
  for (int i = 0; i < products; ++i)
    clock.compute(Part::kProducts, exact.products(flops));
  clock.compute(Part::kMemory, rates.memory(12 * as_double(s.rows * s.experts)));
}

// Every rank of the block learns how many rows the others have for it, and its host waits for that.
void time_counts(PassClock& clock, const RankShape& s) {
  const double bytes = 4 * as_double(s.token_groups * (s.experts + 1));
  const auto& hardware = clock.rates().hardware;
  clock.collective(Group::kEtp,
                   all_gather_cost(clock.shape(Group::kEtp), bytes * s.layout.etp, hardware),
                   Part::kEpWait);
  clock.collective(
      Group::kEp,
      all_gather_cost(clock.shape(Group::kEp), bytes * s.layout.etp * s.layout.ep, hardware),
      Part::kEpWait);
}

// The two ways of a group's rows, as RowExchange queues them.
class Exchange {
 public:
  Exchange(PassClock& clock, const GroupWork& work) : clock_(clock), work_(work) {}

  int send(int ready) {
    const int there = over(PassClock::kEp, Group::kEp, dispatch(), ready);
    return over(PassClock::kEtp, Group::kEtp, rows(), there);
  }
  int give_back(int done) {
    const int summed = over(PassClock::kEtp, Group::kEtp, rows(), done);
    return over(PassClock::kEp, Group::kEp, dispatch(), summed);
  }

 private:
  CallCost dispatch() const {
    return all_to_all_cost(clock_.shape(Group::kEp), work_.received_bytes(),
                           clock_.rates().hardware);
  }
  CallCost rows() const {
    return all_gather_cost(clock_.shape(Group::kEtp), work_.worked_bytes(),
                           clock_.rates().hardware);
  }
  int over(PassClock::Stream stream, Group group, const CallCost& cost, int after) {
    return cost.seconds == 0 ? after : clock_.beside(stream, group, cost, after);
  }

  PassClock& clock_;
  const GroupWork& work_;
};

// Sends the groups one step ahead of the work on them, as ExpertExchange does.
void time_groups(PassClock& clock, const GroupWork& work, const std::function<int()>& prepare,
                 const std::function<int(int arrived)>& do_work,
                 const std::function<void()>& behind) {
  const auto groups = static_cast<std::size_t>(work.s.token_groups);
  if (!work.s.experts_apart()) {
    do_work(prepare());
    behind();
    return;
  }
  Exchange exchange(clock, work);
  std::vector<int> arrived(groups), returned(groups);
  for (std::size_t step = 0; step <= groups; ++step) {
    if (step < groups) arrived[step] = exchange.send(prepare());
    if (step == 0) continue;
    returned[step - 1] = exchange.give_back(do_work(arrived[step - 1]));
    behind();
  }
  for (const int back : returned)
    clock.compute(Part::kMemory, 0, back);
}

// Bringing rows into expert order and back.
int time_permutation(PassClock& clock, const GroupWork& work, int after) {
  return clock.compute(Part::kMemory, clock.rates().memory(2 * work.worked_bytes()), after);
}

double activation_time(const Rates& rates, const GroupWork& work, bool backward) {
  return rates.memory((backward ? 5 : 3) * work.inner_bytes());
}

}  // namespace

void time_experts_forward(PassClock& clock, const RankShape& s, double imbalance) {
  const GroupWork work{s, imbalance};
  const auto& rates = clock.rates();
  time_router(clock, s, 1);
  for (std::int64_t group = 0; group < s.token_groups; ++group)
    clock.compute(Part::kMemory, rates.memory(16 * as_double(s.sent_rows())));  // sorting
  if (s.experts_apart()) time_counts(clock, s);
  const auto prepare = [&] {
    return clock.compute(Part::kMemory, rates.memory(2 * work.sent_bytes()));
  };
  const auto experts = [&](int arrived) {
    if (s.experts_apart()) time_permutation(clock, work, arrived);
    clock.compute(Part::kExperts, work.product_time(rates));
    const int done = clock.compute(Part::kMemory, activation_time(rates, work, false));
    return s.experts_apart() ? time_permutation(clock, work, -1) : done;
  };
  time_groups(clock, work, prepare, experts, [] {});
  const double out = as_double(s.rows * s.hidden) * s.activation_bytes;
  clock.compute(Part::kMemory,
                rates.memory(work.sent_bytes() * as_double(s.token_groups) + out));  // combine
}

void time_experts_backward(PassClock& clock, const RankShape& s, double imbalance,
                           Gradients gradients) {
  const GroupWork work{s, imbalance};
  const auto& rates = clock.rates();
  const auto prepare = [&] {
    return clock.compute(Part::kMemory, rates.memory(2.5 * work.sent_bytes()));
  };
  const auto experts = [&](int arrived) {
    if (s.experts_apart()) time_permutation(clock, work, arrived);
    if (s.recompute == Recompute::kSelective)
      clock.compute(Part::kMemory, activation_time(rates, work, false));
    clock.compute(Part::kExperts, work.product_time(rates));
    const int done = clock.compute(Part::kMemory, activation_time(rates, work, true));
    return s.experts_apart() ? time_permutation(clock, work, -1) : done;
  };
  const auto weights = [&] {
    if (gradients == Gradients::kAll) clock.compute(Part::kExperts, work.product_time(rates));
  };
  time_groups(clock, work, prepare, experts, weights);
  const double in = as_double(s.rows * s.hidden) * s.activation_bytes;
  clock.compute(Part::kMemory, rates.memory(work.sent_bytes() * as_double(s.token_groups) + in));
  time_router(clock, s, gradients == Gradients::kAll ? 2 : 1);
}

void time_experts_weights(PassClock& clock, const RankShape& s, double imbalance) {
  const GroupWork work{s, imbalance};
  for (std::int64_t group = 0; group < s.token_groups; ++group)
    clock.compute(Part::kExperts, work.product_time(clock.rates()));
  time_router(clock, s, 1);
}

}  // namespace fulgur
