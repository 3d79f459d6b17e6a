#include "orchestrator/submit/jobset.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

TEST_SUITE("orchestrator/submit/jobset") {
  TEST_CASE("a JobSet has the structure that Kubernetes wants, and the policy for our exit codes") {
    JobSetRequest request;
    request.job.name = "My_run.v2";
    request.job.cluster.nodes = 3;
    request.image = "registry/fulgur:1";
    request.claim = "workspace";
    request.secret = "my-run-v2-secret";
    request.arguments = {"my \"r\".yaml", "cluster.kind=kubernetes"};
    request.gpus_per_node = 8;
    request.restarts = 7;
    const test::TemporaryDirectory folder;
    std::ofstream(folder.path() / "jobset.yaml") << jobset(request);
    const std::string script = FULGUR_SOURCE_DIR "/tests/orchestrator/submit/jobset_test.py";
    const auto outcome =
        test::Program({"sh", "-c", "exec python3 '" + script + "' < jobset.yaml"}, folder.path())
            .wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
  }

  TEST_CASE("names become names of Kubernetes") {
    CHECK(kubernetes_name("My_run.v2") == "my-run-v2");
    CHECK(kubernetes_name("_x_") == "x");
    CHECK(kubernetes_name("...") == "run");
    CHECK(kubernetes_name(std::string(80, 'a')).size() == 40);
  }
}
