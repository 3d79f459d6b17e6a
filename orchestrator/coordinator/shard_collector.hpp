#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fulgur {

// Brings together what the ranks say about their shards of a checkpoint.
class ShardCollector {
 public:
  explicit ShardCollector(int world) : world_(world) {}

  struct Complete {
    std::int64_t step = 0;
    std::vector<std::string> notes;     // SHA-256 of shard-<rank>.json, by rank
    std::vector<std::string> failures;  // not empty: the checkpoint is to be dropped
  };

  // A rank has written its shard and the note beside it, which has this hash, or could not. Returns the
  // whole when all ranks have said so.
  std::optional<Complete> written(std::int64_t step, int rank, std::string note_sha256);
  std::optional<Complete> failed(std::int64_t step, int rank, const std::string& reason);

 private:
  struct Pending {
    std::map<int, std::string> notes;
    std::map<int, std::string> failures;
  };
  std::optional<Complete> finish_if_all(std::int64_t step);

  int world_;
  std::map<std::int64_t, Pending> pending_;
};

}  // namespace fulgur
