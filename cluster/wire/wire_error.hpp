#pragma once

#include <stdexcept>
#include <string>

namespace fulgur {

// The control connection cannot be used any further: close it. Failures of the socket itself come as
// boost::system::system_error.
class WireError : public std::runtime_error {
 public:
  enum class Kind {
    kMessage,         // bytes that are no message of ours
    kTooLarge,        // a frame beyond the bound
    kAuthentication,  // the peer does not know the secret, or belongs to another run
    kTimeout,         // the peer was too slow
  };

  WireError(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

}  // namespace fulgur
