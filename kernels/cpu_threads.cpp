#include "kernels/cpu_threads.hpp"

#include <cblas.h>

#include <stdexcept>
#include <string>

namespace fulgur {

void set_cpu_threads(int threads) {
  if (threads < 1) {
    throw std::invalid_argument("set_cpu_threads: expected at least 1, got " +
                                std::to_string(threads));
  }
  openblas_set_num_threads(threads);
}

}  // namespace fulgur
