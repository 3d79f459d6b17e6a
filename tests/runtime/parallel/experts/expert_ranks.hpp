#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/parallel/experts/expert_groups.hpp"
#include "tests/support/run_ranks.hpp"

namespace fulgur::test {

// The groups of the ranks of a stage of edp x ep x etp ranks.
class ExpertRanks {
 public:
  ExpertRanks(int edp, int ep, int etp, const MakeGroup& make_group)
      : ep_(ep), etp_(etp), stage_(make_group("stage", edp * ep * etp, kGenerous)) {
    for (int block = 0; block < edp; ++block) {
      for (int i = 0; i < etp; ++i)
        ep_groups_.push_back(make_group(name("ep", block, i), ep, kGenerous));
      for (int i = 0; i < ep; ++i)
        etp_groups_.push_back(make_group(name("etp", block, i), etp, kGenerous));
    }
  }

  // Runs `body` on every rank, each with streams of its own.
  template <class Body>  // (int rank, const ExpertGroups&, Stream&)
  void run(std::int64_t token_groups, const Body& body) {
    run_ranks(stage_, [&](Communicator& stage, Stream& stream) {
      const int rank = stage.rank(), place = rank % (ep_ * etp_), block = rank / (ep_ * etp_);
      auto& ep = ep_groups_[index(block * etp_ + place % etp_)][index(place / etp_)];
      auto& etp = etp_groups_[index(block * ep_ + place / etp_)][index(place % etp_)];
      Stream ep_stream(Device::kCpu), etp_stream(Device::kCpu);
      try {
        body(rank, {stage, *ep, *etp, ep_stream, etp_stream, token_groups}, stream);
        stream.synchronize();
        ep_stream.synchronize();
        etp_stream.synchronize();
      } catch (...) {
        ep->abort();
        etp->abort();
        throw;
      }
    });
  }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  static std::string name(const char* axis, int block, int i) {
    return axis + std::to_string(block) + "." + std::to_string(i);
  }

  int ep_, etp_;
  Group stage_;
  std::vector<Group> ep_groups_, etp_groups_;
};

}  // namespace fulgur::test
