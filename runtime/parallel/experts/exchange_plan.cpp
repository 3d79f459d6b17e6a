#include "runtime/parallel/experts/exchange_plan.hpp"

#include <numeric>
#include <stdexcept>
#include <string>

namespace fulgur {
namespace {

std::int64_t sum(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

// The gathered offsets of all ranks of a block.
class Offsets {
 public:
  Offsets(const ExchangeShape& shape, std::span<const std::int32_t> values)
      : shape_(shape), values_(values) {}

  // Rows of the experts [first, last) that rank (ep, etp) has in a group.
  std::int64_t rows(std::int64_t ep, std::int64_t etp, std::int64_t group, std::int64_t first,
                    std::int64_t last) const {
    const auto start =
        ((ep * shape_.etp + etp) * shape_.token_groups + group) * (shape_.experts + 1);
    return values_[static_cast<std::size_t>(start + last)] -
           values_[static_cast<std::size_t>(start + first)];
  }

 private:
  const ExchangeShape& shape_;
  std::span<const std::int32_t> values_;
};

void check(const ExchangeShape& shape, std::size_t num_offsets) {
  const auto refuse = [](const std::string& problem) {
    throw std::invalid_argument("plan_exchange: " + problem);
  };
  if (shape.ep < 1 || shape.experts % shape.ep != 0) {
    refuse("ep = " + std::to_string(shape.ep) + " does not divide " +
           std::to_string(shape.experts) + " experts");
  }
  if (shape.ep_rank < 0 || shape.ep_rank >= shape.ep || shape.etp_rank < 0 ||
      shape.etp_rank >= shape.etp) {
    refuse("rank (" + std::to_string(shape.ep_rank) + ", " + std::to_string(shape.etp_rank) +
           ") of a block of " + std::to_string(shape.ep) + " x " + std::to_string(shape.etp));
  }
  const auto expected = shape.ep * shape.etp * shape.token_groups * (shape.experts + 1);
  if (num_offsets != static_cast<std::size_t>(expected)) {
    refuse("expected " + std::to_string(expected) + " offsets, got " + std::to_string(num_offsets));
  }
}

// Fills the tables between the two orders, walking the rows in expert order. A run of rows is those
// that one expert has from one rank: they lie side by side in both orders.
void order_rows(const ExchangeShape& shape, const Offsets& offsets, std::int64_t group,
                GroupPlan& plan) {
  const auto local = shape.experts / shape.ep, first = shape.ep_rank * local;
  std::vector<std::int32_t> next;  // the row in source order from which (etp, ep) goes on
  std::int32_t row = 0;
  for (std::int64_t etp = 0; etp < shape.etp; ++etp) {
    for (std::int64_t ep = 0; ep < shape.ep; ++ep) {
      next.push_back(row);
      row += static_cast<std::int32_t>(offsets.rows(ep, etp, group, first, first + local));
    }
  }
  plan.sources.reserve(static_cast<std::size_t>(row));
  plan.arrivals.resize(static_cast<std::size_t>(row));
  plan.offsets.push_back(0);
  for (auto expert = first; expert < first + local; ++expert) {
    for (std::int64_t etp = 0; etp < shape.etp; ++etp) {
      for (std::int64_t ep = 0; ep < shape.ep; ++ep) {
        auto& source = next[static_cast<std::size_t>(etp * shape.ep + ep)];
        for (auto n = offsets.rows(ep, etp, group, expert, expert + 1); n > 0; --n) {
          plan.arrivals[static_cast<std::size_t>(source)] =
              static_cast<std::int32_t>(plan.sources.size());
          plan.sources.push_back(source++);
        }
      }
    }
    plan.offsets.push_back(static_cast<std::int32_t>(plan.sources.size()));
  }
}

}  // namespace

std::int64_t GroupPlan::num_sent() const {
  return sum(send);
}
std::int64_t GroupPlan::num_received() const {
  return sum(receive);
}
std::int64_t GroupPlan::num_rows() const {
  return static_cast<std::int64_t>(sources.size());
}

std::vector<GroupPlan> plan_exchange(const ExchangeShape& shape,
                                     std::span<const std::int32_t> values) {
  check(shape, values.size());
  const Offsets offsets(shape, values);
  const auto local = shape.experts / shape.ep, first = shape.ep_rank * local;
  std::vector<GroupPlan> plans(static_cast<std::size_t>(shape.token_groups));
  for (std::int64_t group = 0; group < shape.token_groups; ++group) {
    auto& plan = plans[static_cast<std::size_t>(group)];
    for (std::int64_t ep = 0; ep < shape.ep; ++ep) {
      plan.send.push_back(
          offsets.rows(shape.ep_rank, shape.etp_rank, group, ep * local, (ep + 1) * local));
      plan.receive.push_back(offsets.rows(ep, shape.etp_rank, group, first, first + local));
    }
    for (std::int64_t etp = 0; etp < shape.etp; ++etp) {
      plan.gather.push_back(0);
      for (std::int64_t ep = 0; ep < shape.ep; ++ep)
        plan.gather.back() += offsets.rows(ep, etp, group, first, first + local);
    }
    order_rows(shape, offsets, group, plan);
  }
  return plans;
}

}  // namespace fulgur
