#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <random>

#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

// A checkpoint each; FULGUR_MUTATIONS says another number.
constexpr int kMutations = 2500;
constexpr int kProcesses = 2;
constexpr unsigned kMostSeconds = 240;  // for the mutations of a process: none hangs

int num_mutations() {
  const char* asked = std::getenv("FULGUR_MUTATIONS");
  return asked == nullptr ? kMutations : std::atoi(asked);
}

std::size_t below(std::mt19937& random, std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
}

void flip_bit(char& byte, std::size_t bit) {
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << bit));
}

// A flipped bit, a few changed bytes, a lost end, added bytes, or a block of zeros.
std::string mutated(std::string text, std::mt19937& random) {
  switch (below(random, 5)) {
    case 0:
      flip_bit(text[below(random, text.size())], below(random, 8));
      break;
    case 1:
      for (std::size_t i = 0; i <= below(random, 8); ++i)
        text[below(random, text.size())] = static_cast<char>(below(random, 256));
      break;
    case 2:
      text.resize(below(random, text.size()));
      break;
    case 3:
      text.append(1 + below(random, 5000), '\0');
      break;
    default: {
      const auto at = below(random, text.size()) / 4096 * 4096;
      std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at),
                  std::min<std::size_t>(4096, text.size() - at), '\0');
    }
  }
  return text;
}

// Damages the checkpoint at `path`, beside which `other` is one of another step. True when it is as sound as
// before: zeros that were zeros.
bool damage(const fs::path& path, const fs::path& other, std::mt19937& random) {
  const std::vector<std::string> names = {"shard-00000.h5", "shard-00001.h5", "manifest.json",
                                          "manifest.json.sha256"};
  const auto name = names[below(random, names.size())];
  const auto file = path / name;
  switch (below(random, 20)) {
    case 0:
      fs::remove(file);
      return false;
    case 1:  // that of another step
      fs::copy_file(other / name, file, fs::copy_options::overwrite_existing);
      return false;
    case 2:  // the ranks' the wrong way round
      fs::rename(path / names[0], path / "shard");
      fs::rename(path / names[1], path / names[0]);
      fs::rename(path / "shard", path / names[1]);
      return false;
    case 3:
      fs::rename(file, path / "elsewhere");
      fs::create_symlink("elsewhere", file);
      return false;
    default: {
      const auto sound = test::read_file(file);
      const auto damaged = mutated(sound, random);
      test::write_file(file, damaged);
      return damaged == sound;
    }
  }
}

// What the processes tell, in memory that they share.
struct Tally {
  std::atomic<int> refused, accepted, silent;
  std::atomic<int> latest[kProcesses];  // that each has begun
};

// Reads the checkpoint after mutation `number`, on a fresh copy of a sound one.
void judge(const fs::path& root, int number, Tally& tally) {
  const auto path = root / "damaged";
  fs::remove_all(path);
  fs::copy(root / "sound", path);
  std::mt19937 random(static_cast<unsigned>(number));
  const bool as_sound = damage(path, root / "other", random);
  try {
    const bool equal = test::holds(path, 6);
    ++(equal && as_sound ? tally.accepted : tally.silent);
  } catch (const CheckpointError& error) {
    ++(error.kind() == CheckpointError::Kind::kInvalid ? tally.refused : tally.silent);
  }
}

// Makes the mutations process, process + kProcesses, ... in a process of its own.
pid_t begin_mutations(const fs::path& sound, const fs::path& other, int process, Tally& tally) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child > 0) return child;
  ::alarm(kMostSeconds);
  try {
    const test::TemporaryDirectory root;
    fs::copy(sound, root.path() / "sound");
    fs::copy(other, root.path() / "other");
    for (int number = process; number < num_mutations(); number += kProcesses) {
      tally.latest[process] = number;
      judge(root.path(), number, tally);
    }
    fs::remove_all(root.path());  // for _exit() does not
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mutation %d: %s\n", tally.latest[process].load(), error.what());
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

TEST_SUITE("runtime/checkpoint/damage") {
  TEST_CASE("damage anywhere is refused: never read as other values, never a crash, never a hang") {
    const test::TemporaryDirectory root;
    const auto sound = test::save(root.path(), 6, 2), other = test::save(root.path(), 7, 2);
    void* const shared =
        ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    auto& tally = *new (shared) Tally();
    std::vector<pid_t> children;
    for (int process = 0; process < kProcesses; ++process)
      children.push_back(begin_mutations(sound, other, process, tally));
    for (int process = 0; process < kProcesses; ++process) {
      int status = 0;
      REQUIRE(::waitpid(children[static_cast<std::size_t>(process)], &status, 0) ==
              children[static_cast<std::size_t>(process)]);
      CAPTURE(tally.latest[process].load());
      CHECK_MESSAGE(!WIFSIGNALED(status), "signal ", WTERMSIG(status));
      CHECK(WEXITSTATUS(status) == 0);
    }
    CHECK(tally.silent.load() == 0);
    CHECK(tally.refused + tally.accepted == num_mutations());
    CHECK(tally.refused.load() > num_mutations() * 9 / 10);
    MESSAGE(tally.refused.load(), " of ", num_mutations(), " refused, ", tally.accepted.load(),
            " as sound as before");
    ::munmap(shared, sizeof(Tally));
    CHECK(test::holds(sound, 6));
  }
}

}  // namespace fulgur
