#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fulgur {

// The run's table of strings (runtime/comm/store.hpp), as the coordinator keeps it. Keys and values are
// what stands in the messages.
class StoreTable {
 public:
  // Returns the ranks that wait for the key.
  std::vector<int> set(const std::string& key, std::string value) {
    values_[key] = std::move(value);
    const auto waiting = waiting_.extract(key);
    if (waiting.empty()) return {};
    return {waiting.mapped().begin(), waiting.mapped().end()};
  }

  // The value, or nothing: then the rank waits for it.
  std::optional<std::string> get(const std::string& key, int rank) {
    const auto found = values_.find(key);
    if (found != values_.end()) return found->second;
    waiting_[key].insert(rank);
    return std::nullopt;
  }

 private:
  std::map<std::string, std::string> values_;
  std::map<std::string, std::set<int>> waiting_;
};

}  // namespace fulgur
