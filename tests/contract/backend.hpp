#pragma once

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/support/entered_gpu.hpp"
#include "tests/support/run_ranks.hpp"

namespace fulgur::test {

// A backend of communicators as the contract suite takes it: how groups are made, and which
// sentences of runtime/comm/communicator.hpp its own header takes back.
struct Backend {
  MakeGroup make_group;
  Device device = Device::kCpu;
  std::chrono::milliseconds patience{300};  // a timeout that is awaited; a group is made within it
  int most_ranks = 8;                       // the GPUs there are
  bool sums_in_rank_order = true;
  bool names_missing_rank = true;
  bool notices_mismatch = true;

  // `size`, or as many ranks as there can be.
  int at_most(int size) const { return std::min(size, most_ranks); }

  std::vector<int> sizes(std::initializer_list<int> wanted) const {
    std::vector<int> all(wanted);
    std::erase_if(all, [this](int size) { return size > most_ranks; });
    return all;
  }

  void run_ranks(Group& group, const RankBody& body) const { test::run_ranks(group, body, device); }
  void run_ranks(int size, const RankBody& body) const {
    Group group = make_group("test", size, kGenerous);
    run_ranks(group, body);
  }
};

}  // namespace fulgur::test
