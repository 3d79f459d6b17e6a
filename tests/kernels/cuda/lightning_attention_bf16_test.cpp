#include <doctest/doctest.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/lightning_attention.hpp"
#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::random_floats;

using Halves = std::vector<std::uint16_t>;

// Rounded to the nearest, ties to even.
Halves to_bf16(const std::vector<float>& values) {
  Halves out;
  out.reserve(values.size());
  for (const float value : values) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    out.push_back(static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
  }
  return out;
}

std::vector<float> to_float(const Halves& values) {
  std::vector<float> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto bits = static_cast<std::uint32_t>(values[i]) << 16;
    std::memcpy(&out[i], &bits, sizeof(bits));
  }
  return out;
}

// A tensor on the stream's device: bfloat16 on a GPU, the same numbers as float32 on the CPU.
class Rounded {
 public:
  Rounded(const Floats& numbers, Stream& stream) : stream_(stream) {
    const auto halves = to_bf16(numbers.values);
    const bool gpu = stream.device() == Device::kCuda;
    tensor = Tensor::contiguous(nullptr, gpu ? DType::kBFloat16 : DType::kFloat32, numbers.dims());
    buffer_ = Buffer(stream.device(), tensor.bytes() + 16);
    tensor.data = buffer_.data();
    if (gpu) {
      upload(halves, tensor, stream);
    } else {
      upload(to_float(halves), tensor, stream);
    }
  }

  std::vector<float> values() const {
    return stream_.device() == Device::kCuda ? to_float(download<std::uint16_t>(tensor, stream_))
                                             : download<float>(tensor, stream_);
  }

  Tensor tensor;

 private:
  Stream& stream_;
  Buffer buffer_;
};

// A tensor of float32 or int32 on the stream's device.
template <class T>
class Exact {
 public:
  Exact(const Shape& dims, std::vector<T> numbers, Stream& stream)
      : stream_(stream), buffer_(stream.device(), numbers.size() * sizeof(T) + 16) {
    tensor = Tensor::contiguous(buffer_.data(), kDTypeOf<T>, dims);
    upload(std::move(numbers), tensor, stream);
  }
  std::vector<T> values() const { return download<T>(tensor, stream_); }

  Tensor tensor;

 private:
  Stream& stream_;
  Buffer buffer_;
};

struct Problem {
  std::vector<std::int32_t> starts;
  std::int64_t num_heads, d;
  float largest_rate;

  std::int64_t num_tokens() const { return starts.back(); }
  std::int64_t num_segments() const { return static_cast<std::int64_t>(starts.size()) - 1; }
  // Backwards from the last slot; every third segment has no state.
  std::vector<std::int32_t> slots(std::int32_t phase) const {
    const auto segments = static_cast<std::int32_t>(num_segments());
    std::vector<std::int32_t> out;
    out.reserve(starts.size());
    for (std::int32_t s = 0; s < segments; ++s)
      out.push_back(segments > 1 && (s + phase) % 3 == 0 ? -1 : segments - s);
    return out;
  }
};

struct Results {
  std::vector<float> o, dqkv, states, dstates;
};

Results run(const Problem& problem, Device device) {
  Stream stream(device);
  const auto T = problem.num_tokens(), H = problem.num_heads, d = problem.d,
             S = problem.num_segments();
  const Shape tables{S + 1, H, d, d};
  const Rounded qkv(random_floats({T, 3 * H, d}, 1), stream);
  const Rounded dout(random_floats({T, H, d}, 2), stream);
  const Exact<float> states_in(tables, random_floats(tables, 3).values, stream);
  const Exact<float> dstates_out(tables, random_floats(tables, 4).values, stream);
  const Exact<float> rate({H}, random_floats({H}, 5, 0.0f, problem.largest_rate).values, stream);
  const Exact<float> states(tables, Floats(tables, 9.0f).values, stream);
  const Exact<float> dstates(tables, Floats(tables, 9.0f).values, stream);
  const Rounded o(Floats({T, H, d}, 9.0f), stream);
  const Rounded dqkv(Floats({T, 3 * H, d}, 9.0f), stream);
  const Exact<std::int32_t> starts({S + 1}, problem.starts, stream);
  const Exact<std::int32_t> in_slot({S}, problem.slots(1), stream);
  const Exact<std::int32_t> out_slot({S}, problem.slots(2), stream);
  const LightningSegments segments{
      .starts = starts.tensor, .in_slot = in_slot.tensor, .out_slot = out_slot.tensor};
  const auto part = [&](const Rounded& of, int i) { return of.tensor.slice(1, i * H, H); };
  const auto q = part(qkv, 0), k = part(qkv, 1), v = part(qkv, 2);

  lightning_state_forward(
      {.k = k, .v = v, .decay_rate = rate.tensor, .segments = segments, .states = states.tensor},
      stream);
  lightning_output_forward({.q = q,
                            .k = k,
                            .v = v,
                            .decay_rate = rate.tensor,
                            .segments = segments,
                            .states_in = states_in.tensor,
                            .o = o.tensor},
                           stream);
  lightning_state_backward({.q = q,
                            .dout = dout.tensor,
                            .decay_rate = rate.tensor,
                            .segments = segments,
                            .dstates = dstates.tensor},
                           stream);
  lightning_output_backward({.q = q,
                             .k = k,
                             .v = v,
                             .dout = dout.tensor,
                             .decay_rate = rate.tensor,
                             .segments = segments,
                             .states_in = states_in.tensor,
                             .dstates_out = dstates_out.tensor,
                             .dq = part(dqkv, 0),
                             .dk = part(dqkv, 1),
                             .dv = part(dqkv, 2)},
                            stream);
  return {o.values(), dqkv.values(), states.values(), dstates.values()};
}

// Against float32 on the same bfloat16 numbers. Results and what is rounded on the way leave an error of
// up to 1.7e-3 of the norm each, and at most four roundings meet.
void check(const Problem& problem) {
  CAPTURE(problem.num_tokens());
  CAPTURE(problem.d);
  CAPTURE(problem.largest_rate);
  const auto expected = run(problem, Device::kCpu);
  const auto got = run(problem, Device::kCuda);
  constexpr double kBound = 4e-3;
  CHECK(test::relative_error(got.o, expected.o) < kBound);
  CHECK(test::relative_error(got.dqkv, expected.dqkv) < kBound);
  CHECK(test::relative_error(got.states, expected.states) < kBound);
  CHECK(test::relative_error(got.dstates, expected.dstates) < kBound);
  const auto again = run(problem, Device::kCuda);
  CHECK(got.o == again.o);
  CHECK(got.dqkv == again.dqkv);
  CHECK(got.states == again.states);
}

}  // namespace

TEST_SUITE("kernels/cuda/lightning_attention_bf16") {
  TEST_CASE("all four calls on bfloat16 are near those of the CPU for packed segments" *
            doctest::skip(!test::has_cuda())) {
    const std::vector<std::vector<std::int32_t>> runs{
        {0, 1}, {0, 64}, {0, 65}, {0, 200}, {0, 5, 5, 70, 134, 135}, {0, 63, 127, 191, 400}};
    for (const std::int64_t d : {1, 24, 64, 65, 100, 128}) {
      for (const auto& starts : runs) {
        for (const float largest_rate : {0.0f, 0.9f})
          check({starts, 3, d, largest_rate});
      }
    }
  }

  TEST_CASE("a long document of bfloat16 is near that of the CPU" *
            doctest::skip(!test::has_cuda())) {
    check({{0, 4000, 4096}, 4, 128, 0.5f});
    check({{0, 4096}, 2, 128, 0.001f});
  }

  TEST_CASE("bfloat16 with larger heads is refused by name" * doctest::skip(!test::has_cuda())) {
    try {
      run({{0, 5}, 1, 136, 0.5f}, Device::kCuda);
      FAIL_CHECK("expected a refusal");
    } catch (const std::invalid_argument& error) {
      CHECK(std::string(error.what()).find("lightning_state_forward: k") != std::string::npos);
    }
  }
}

}  // namespace fulgur
