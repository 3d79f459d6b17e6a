#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "kernels/context.hpp"

namespace fulgur {

// The products of a backward pass that make weight gradients. They are done at once, or kept for later:
// a zero-bubble pipeline fills its waits with them (arXiv 2401.10241; docs/math.md 2.6).
//
// A layer allocates in operands() whatever such a product reads beside what the forward pass saved, and
// hands the product over.
class WeightGradients {
 public:
  // At once.
  WeightGradients() = default;
  // Kept until run(), with their operands in `operands`, which lives in the order of the same stream.
  explicit WeightGradients(Arena& operands) : operands_(&operands) {}

  // Where to allocate what a product reads.
  Context operands(const Context& ctx) const {
    return {ctx.stream, operands_ != nullptr ? *operands_ : ctx.arena};
  }

  // `product` queues work on the stream that it is given; what it captures by reference outlives run().
  void add(const Context& ctx, std::function<void(Stream&)> product) {
    if (operands_ == nullptr) return product(ctx.stream);
    products_.push_back(std::move(product));
  }

  // Queues what was kept, in the order in which it was added.
  void run(Stream& stream) {
    for (const auto& product : products_)
      product(stream);
    products_.clear();
  }

 private:
  Arena* operands_ = nullptr;
  std::vector<std::function<void(Stream&)>> products_;
};

}  // namespace fulgur
