#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace fulgur {

// XXH3-128 of bytes that come in parts: fast (memory speed), and against accidents, not attackers.
class Xxh128 {
 public:
  Xxh128();

  void update(std::span<const std::byte> bytes);
  std::string hex() const;  // of all bytes so far, 32 digits

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const noexcept;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

// SHA-256 in hex, 64 digits.
std::string sha256(std::string_view text);

}  // namespace fulgur
