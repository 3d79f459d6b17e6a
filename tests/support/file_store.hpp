#pragma once

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>

#include "runtime/comm/communicator.hpp"
#include "runtime/comm/store.hpp"

namespace fulgur::test {

// A store for ranks that are processes of this host: a file for each key, in a directory they
// share.
class FileStore final : public Store {
 public:
  explicit FileStore(std::filesystem::path root) : root_(std::move(root)) {}

  void set(std::string_view key, std::string_view value) override {
    const auto path = path_of(key);
    const auto unfinished = path.string() + "." + std::to_string(::getpid());
    std::ofstream(unfinished, std::ios::binary) << value;
    std::filesystem::rename(unfinished, path);
  }

  std::string get(std::string_view key, std::chrono::milliseconds timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (!std::filesystem::exists(path_of(key))) {
      if (std::chrono::steady_clock::now() > deadline) {
        throw CommError(CommError::Kind::kTimeout, "store: no key " + std::string(key));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    std::ifstream file(path_of(key), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_of(std::string_view key) const {
    std::string name(key);
    for (char& letter : name)
      letter = letter == '/' ? '_' : letter;
    return root_ / name;
  }

  std::filesystem::path root_;
};

}  // namespace fulgur::test
