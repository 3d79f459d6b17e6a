#include <nccl.h>

#include <string>

#include "runtime/comm/nccl.hpp"
#include "runtime/comm/nccl/check.hpp"

namespace fulgur {

// 22803 is 2.28.3.
std::string nccl_version() {
  int number = 0;
  nccl::check(ncclGetVersion(&number), "ncclGetVersion");
  return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." +
         std::to_string(number % 100);
}

}  // namespace fulgur
