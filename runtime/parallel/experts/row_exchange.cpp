#include "runtime/parallel/experts/row_exchange.hpp"

#include <algorithm>

#include "kernels/token_permutation.hpp"

namespace fulgur {
namespace {

Tensor first_rows(const Tensor& tensor, std::int64_t rows) {
  return tensor.slice(0, 0, rows);
}

}  // namespace

RowExchange::RowExchange(const Context& ctx, const ExpertGroups& groups,
                         const std::vector<GroupPlan>& plans, const std::vector<RowTables>& tables,
                         const Most& outgoing)
    : ctx_(ctx),
      groups_(groups),
      plans_(plans),
      tables_(tables),
      width_(outgoing.width),
      sent_(plans.size()),
      returned_(plans.size()) {
  std::int64_t received = 0, rows = 0;
  for (const auto& plan : plans) {
    received = std::max(received, plan.num_received());
    rows = std::max(rows, plan.num_rows());
  }
  const auto allocate = [&](std::int64_t of_buffer) {
    return ctx.arena.allocate({of_buffer, width_}, outgoing.dtype);
  };
  for (std::size_t i = 0; i < std::min(buffers_.size(), plans.size()); ++i) {
    buffers_[i].outgoing = allocate(outgoing.rows);
    if (groups.ep.size() > 1) buffers_[i].received = allocate(received);
    if (groups.etp.size() > 1) buffers_[i].gathered = allocate(rows);
  }
}

Tensor RowExchange::outgoing(std::size_t group, std::int64_t rows) const {
  return first_rows(buffers(group).outgoing, rows);
}

Tensor RowExchange::received(std::size_t group) const {
  const auto rows = plans_[group].num_received();
  if (groups_.ep.size() == 1) return outgoing(group, rows);
  return first_rows(buffers(group).received, rows);
}

Tensor RowExchange::arrived(std::size_t group) const {
  if (groups_.etp.size() == 1) return received(group);
  return first_rows(buffers(group).gathered, plans_[group].num_rows());
}

std::vector<std::int64_t> RowExchange::elements(const std::vector<std::int64_t>& rows) const {
  auto counts = rows;
  for (auto& count : counts)
    count *= width_;
  return counts;
}

void RowExchange::send(std::size_t group) {
  const auto& plan = plans_[group];
  sent_[group] = ctx_.stream.record();
  if (groups_.ep.size() > 1) {
    groups_.ep_stream.wait(sent_[group]);
    groups_.ep.all_to_all_v(outgoing(group, plan.num_sent()), elements(plan.send), received(group),
                            elements(plan.receive), groups_.ep_stream, "rows to experts");
    sent_[group] = groups_.ep_stream.record();
  }
  if (groups_.etp.size() > 1) {
    groups_.etp_stream.wait(sent_[group]);
    groups_.etp.all_gather_v(received(group), arrived(group), elements(plan.gather),
                             groups_.etp_stream, "rows of experts");
    sent_[group] = groups_.etp_stream.record();
  }
}

void RowExchange::receive(std::size_t group, const Tensor& to) const {
  ctx_.stream.wait(sent_[group]);
  permute_forward({.x = arrived(group), .slots = tables_[group].sources, .y = to}, ctx_.stream);
}

// The rows go back through the buffers in which they came.
void RowExchange::give_back(std::size_t group, const Tensor& from, const Tensor& to) {
  const auto& plan = plans_[group];
  permute_forward({.x = from, .slots = tables_[group].arrivals, .y = arrived(group)}, ctx_.stream);
  returned_[group] = ctx_.stream.record();
  if (groups_.etp.size() > 1) {
    groups_.etp_stream.wait(returned_[group]);
    groups_.etp.reduce_scatter_v(arrived(group), groups_.ep.size() > 1 ? received(group) : to,
                                 elements(plan.gather), groups_.etp_stream, "sums of experts");
    returned_[group] = groups_.etp_stream.record();
  }
  if (groups_.ep.size() > 1) {
    groups_.ep_stream.wait(returned_[group]);
    groups_.ep.all_to_all_v(received(group), elements(plan.receive), to, elements(plan.send),
                            groups_.ep_stream, "rows from experts");
    returned_[group] = groups_.ep_stream.record();
  }
}

void RowExchange::finish(std::size_t group) const {
  ctx_.stream.wait(returned_[group]);
}

}  // namespace fulgur
