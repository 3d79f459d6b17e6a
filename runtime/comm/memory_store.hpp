#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "runtime/comm/store.hpp"

namespace fulgur {

// A store for ranks that are threads of this process. May be used from any thread.
class MemoryStore final : public Store {
 public:
  // Replaces the value of a key that is set. Throws std::invalid_argument for more than 1 MiB.
  void set(std::string_view key, std::string_view value) override;
  std::string get(std::string_view key, std::chrono::milliseconds timeout) override;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string, std::less<>> values_;  // guarded by mutex_
};

}  // namespace fulgur
