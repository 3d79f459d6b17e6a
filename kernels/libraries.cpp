#include "kernels/libraries.hpp"

#include <cblas.h>

namespace fulgur {

std::string blas_library() {
  return openblas_get_config();
}

}  // namespace fulgur
