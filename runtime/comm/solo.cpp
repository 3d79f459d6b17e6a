#include "runtime/comm/solo.hpp"

#include <stdexcept>

namespace fulgur {
namespace {

class SoloCommunicator final : public Communicator {
 public:
  SoloCommunicator(const std::string& name, Device device)
      : Communicator({.group = name, .rank = 0, .size = 1}, device) {}

  void abort() noexcept override {}  // nothing ever waits

 private:
  void queue(Operation operation, Stream&) override {
    throw std::logic_error(describe(operation, name()) + ": a group of one rank queues nothing");
  }
};

}  // namespace

std::unique_ptr<Communicator> make_solo_communicator(const std::string& name, Device device) {
  return std::make_unique<SoloCommunicator>(name, device);
}

}  // namespace fulgur
