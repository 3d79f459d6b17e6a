#include <cstdint>

#include "kernels/bfloat16.hpp"
#include "kernels/convert_impl.hpp"

namespace fulgur::cpu {
namespace {

float to_float(float x) {
  return x;
}
float to_float(std::uint16_t x) {
  return from_bfloat16(x);
}

void store(float x, float* to) {
  *to = x;
}
void store(float x, std::uint16_t* to) {
  *to = to_bfloat16(x);
}

template <class From, class To>
void convert_elements(const Convert& args) {
  const auto* const x = args.x.as<From>();
  auto* const y = args.y.as<To>();
  for (std::int64_t i = 0; i < args.x.count(); ++i)
    store(args.add ? to_float(y[i]) + to_float(x[i]) : to_float(x[i]), &y[i]);
}

template <class From>
void convert_from(const Convert& args) {
  args.y.dtype == DType::kBFloat16 ? convert_elements<From, std::uint16_t>(args)
                                   : convert_elements<From, float>(args);
}

}  // namespace

void convert(const Convert& args, Stream& stream) {
  stream.run([args] {
    args.x.dtype == DType::kBFloat16 ? convert_from<std::uint16_t>(args)
                                     : convert_from<float>(args);
  });
}

}  // namespace fulgur::cpu
