#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// The values of the pieces that were used last, up to a number of bytes; the newest piece stays in any
// case. Pieces are known by their addresses.
class PieceCache {
 public:
  explicit PieceCache(std::int64_t max_bytes) : max_bytes_(max_bytes) {}

  // The values of a piece, which becomes the newest; nullptr when it is not here. Valid until the next
  // insert().
  const std::vector<float>* find(const PieceRecord& piece) {
    const auto found = places_.find(&piece);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &entries_.front().values;
  }

  // Keeps the values of a piece that is not here, and drops those that were not used for longest.
  const std::vector<float>& insert(const PieceRecord& piece, std::vector<float> values) {
    bytes_ += bytes_of(values);
    entries_.push_front({&piece, std::move(values)});
    places_[&piece] = entries_.begin();
    while (bytes_ > max_bytes_ && entries_.size() > 1) {
      bytes_ -= bytes_of(entries_.back().values);
      places_.erase(entries_.back().piece);
      entries_.pop_back();
    }
    return entries_.front().values;
  }

 private:
  struct Entry {
    const PieceRecord* piece;
    std::vector<float> values;
  };
  static std::int64_t bytes_of(const std::vector<float>& values) {
    return static_cast<std::int64_t>(values.size() * sizeof(float));
  }

  std::int64_t max_bytes_;
  std::int64_t bytes_ = 0;
  std::list<Entry> entries_;  // newest first
  std::map<const PieceRecord*, std::list<Entry>::iterator> places_;
};

}  // namespace fulgur
