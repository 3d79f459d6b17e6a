#pragma once

#include <algorithm>
#include <cstdint>

namespace fulgur {

// An arena without memory: what kernels/memory.hpp's Arena would hold if the same were allocated in it.
class ArenaTrace {
 public:
  static constexpr std::int64_t kAlignment = 256;

  void allocate(std::int64_t elements, int bytes) {
    const auto size = std::max<std::int64_t>(elements * bytes, 1);
    used_ += (size + kAlignment - 1) / kAlignment * kAlignment;
    most_ = std::max(most_, used_);
  }
  std::int64_t used() const noexcept { return used_; }
  std::int64_t high_water_bytes() const noexcept { return most_; }

  class Scope {
   public:
    explicit Scope(ArenaTrace& arena) : arena_(arena), used_(arena.used_) {}
    ~Scope() { arena_.used_ = used_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    ArenaTrace& arena_;
    std::int64_t used_;
  };

 private:
  std::int64_t used_ = 0, most_ = 0;
};

}  // namespace fulgur
