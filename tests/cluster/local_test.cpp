#include "cluster/launch/local.hpp"

#include <doctest/doctest.h>

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

  TEST_CASE("a worker's environment names its rank, and not the secret") {
    LocalWorkers workers;
    workers.program = "/bin/true";
    workers.run_id = "abc";
    workers.attempt = 2;
    workers.world = 4;
    workers.port = 1234;
    workers.secret = "hush";
    workers.logs = "/runs/x/logs/attempt-0002";
    const auto spec = worker_process(workers, 3, std::vector{5, 6});
    CHECK(spec.environment.at("RANK") == "3");
    CHECK(spec.environment.at("WORLD_SIZE") == "4");
    CHECK(spec.environment.at("MASTER_PORT") == "1234");
    CHECK(spec.environment.at("TORCHELASTIC_RESTART_COUNT") == "1");
    CHECK(spec.environment.at("OPENBLAS_NUM_THREADS") == "2");
    CHECK(spec.errors == "/runs/x/logs/attempt-0002/rank-00003.err");
    CHECK(spec.cores == std::vector{5, 6});
    CHECK(spec.secret == "hush");
    for (const auto& [name, value] : spec.environment)
      CHECK(value.find("hush") == std::string::npos);
  }
}
