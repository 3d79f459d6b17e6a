#include "orchestrator/run/progress.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fulgur;

TEST_SUITE("orchestrator/run/progress") {
  TEST_CASE("numbers are written for people") {
    CHECK(grouped(0) == "0");
    CHECK(grouped(999) == "999");
    CHECK(grouped(1000) == "1,000");
    CHECK(grouped(1234567) == "1,234,567");
    CHECK(short_number(7) == "7");
    CHECK(short_number(4096) == "4.10k");
    CHECK(short_number(491520) == "492k");
    CHECK(short_number(16200) == "16.2k");
    CHECK(short_number(1228800) == "1.23M");
    CHECK(clock_text(std::chrono::seconds(42)) == "0:42");
    CHECK(clock_text(std::chrono::seconds(3723)) == "1:02:03");
  }

  TEST_CASE("the time left is the steps left at the smoothed pace") {
    StepDone step;
    step.step = 120;
    step.tokens = 491520;
    step.loss = 2.54412;
    step.gradient_norm = 0.92;
    step.learning_rate = 2.1e-3;
    step.seconds = 0.5;
    step.tokens_per_second = 8192;
    CHECK(progress_text(step, {.tflops = 0.0123}, 300, 0.25) ==
          "step 120/300 | 492k tokens | loss 2.5441 | gradient norm 0.92 | lr 2.10e-03 | "
          "16.4k tokens/s | 12.3 GFLOP/s a rank | 0:45 left");
    const Utilisation gpu{.memory = std::int64_t{96} << 30, .tflops = 412, .mfu = 0.4167};
    const auto text = progress_text(step, gpu, 300, 0.25);
    CHECK(text.find("| 412 TFLOP/s a rank, MFU 41.7 % | 96.0 GiB |") != std::string::npos);
  }

  TEST_CASE("off a terminal the first and the last step are lines, and notes are") {
    std::FILE* file = std::tmpfile();
    REQUIRE(file != nullptr);
    {
      Progress progress(file, 100);
      for (int i = 1; i <= 100; ++i) {
        StepDone step;
        step.step = i;
        progress.step(step, {});
        if (i == 50) progress.note("half");
      }
    }
    std::rewind(file);
    std::array<char, 4096> buffer{};
    const std::string text(buffer.data(), std::fread(buffer.data(), 1, buffer.size(), file));
    std::fclose(file);
    CHECK(text.starts_with("step 1/100 |"));
    CHECK(text.find("\nhalf\n") != std::string::npos);
    CHECK(text.find("\nstep 100/100 |") != std::string::npos);
    CHECK(text.find('\r') == std::string::npos);
    CHECK(text.find("step 3/100") == std::string::npos);
  }
}
