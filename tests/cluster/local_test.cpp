#include "cluster/launch/local.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace fulgur;

TEST_SUITE("cluster/launch/local") {
  TEST_CASE("cores are dealt evenly, and ranks beyond them share") {
    using Deal = std::vector<std::vector<int>>;
    CHECK(deal_cores(std::vector{0, 1, 2, 3}, 2) == Deal{{0, 1}, {2, 3}});
    CHECK(deal_cores(std::vector{0, 1, 2, 5, 7}, 2) == Deal{{0, 1}, {2, 5, 7}});
    CHECK(deal_cores(std::vector{4, 6}, 4) == Deal{{4}, {4}, {6}, {6}});
    CHECK(deal_cores(std::vector{4, 6}, 3) == Deal{{4}, {4}, {6}});
    CHECK(deal_cores(std::vector{9}, 1) == Deal{{9}});
    CHECK_THROWS_AS(deal_cores(std::vector<int>{}, 1), std::invalid_argument);
    CHECK_THROWS_AS(deal_cores(std::vector{0}, 0), std::invalid_argument);
  }

  TEST_CASE("every core is dealt when there are enough") {
    for (int ranks : {1, 2, 3, 5, 7, 12}) {
      CAPTURE(ranks);
      std::vector<int> cores{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
      std::vector<int> dealt;
      for (const auto& part : deal_cores(cores, ranks))
        dealt.insert(dealt.end(), part.begin(), part.end());
      CHECK(dealt == cores);
    }
  }

  TEST_CASE("a worker's environment names its rank and its node, and not the secret") {
    WorkerSet workers;
    workers.run_id = "abc";
    workers.attempt = 2;
    workers.world = 8;
    workers.port = 1234;
    workers.secret = "hush";
    workers.environment = {"NCCL_ALGO=Ring=Tree", "OMP_NUM_THREADS=7"};
    const NodePart part{.node = 1, .nodes = 3, .first_rank = 2, .ranks = 4, .address = "10.0.0.7"};
    const auto spec = worker_process("/bin/true", workers, part, 5, std::vector{5, 6});
    const std::map<std::string, std::string> expected{{"RANK", "5"},
                                                      {"LOCAL_RANK", "3"},
                                                      {"WORLD_SIZE", "8"},
                                                      {"LOCAL_WORLD_SIZE", "4"},
                                                      {"GROUP_RANK", "1"},
                                                      {"GROUP_WORLD_SIZE", "3"},
                                                      {"MASTER_ADDR", "10.0.0.7"},
                                                      {"MASTER_PORT", "1234"},
                                                      {"TORCHELASTIC_RESTART_COUNT", "1"},
                                                      {"TORCHELASTIC_RUN_ID", "abc"},
                                                      {"FULGUR_RANK", "5"},
                                                      {"FULGUR_LOCAL_RANK", "3"},
                                                      {"FULGUR_COORDINATOR_ADDRESS", "10.0.0.7"},
                                                      {"OPENBLAS_NUM_THREADS", "2"},
                                                      {"NCCL_ALGO", "Ring=Tree"},
                                                      {"OMP_NUM_THREADS", "7"}};
    for (const auto& [name, value] : expected) {
      CAPTURE(name);
      CHECK(spec.environment.at(name) == value);
    }
    CHECK(spec.cores == std::vector{5, 6});
    CHECK(spec.secret == "hush");
    for (const auto& [name, value] : spec.environment)
      CHECK(value.find("hush") == std::string::npos);
  }

  TEST_CASE("the logs of a rank have its number") {
    CHECK(log_file("/runs/x/logs/attempt-0002", 3, "err") ==
          "/runs/x/logs/attempt-0002/rank-00003.err");
  }
}
