#include "runtime/train/checkpointer.hpp"

#include <span>
#include <utility>

#include "kernels/transfer.hpp"
#include "recipes/parameters.hpp"
#include "runtime/checkpoint/folders.hpp"
#include "runtime/train/owned_boxes.hpp"

namespace fulgur {
namespace {

struct Kind {
  const char* prefix;
  Tensor OwnedRange::*values;
};
constexpr Kind kKinds[] = {{"model/", &OwnedRange::weight},
                           {"exp_avg/", &OwnedRange::exp_avg},
                           {"exp_avg_sq/", &OwnedRange::exp_avg_sq}};

}  // namespace

std::vector<TensorRecord> training_tensors(const ModelSpec& model) {
  std::vector<TensorRecord> tensors;
  for (const auto& kind : kKinds) {
    for (const auto& parameter : parameters(model, WeightDecayOn::kMatrices))
      tensors.push_back({kind.prefix + parameter.name, parameter.shape});
  }
  return tensors;
}

Checkpointer::Checkpointer(std::filesystem::path root, Rank rank, std::span<const OwnedRange> owned,
                           Host& host)
    : root_(std::move(root)), rank_(rank.value()), owned_(owned), host_(host) {
  for (const auto& kind : kKinds) {
    for (const auto& range : owned_)
      snapshot_.emplace_back(static_cast<std::size_t>((range.*kind.values).count()));
  }
}

void Checkpointer::save(Manifest manifest, Stream& stream) {
  wait();
  if (saved_) host_.wait_for_commit(*saved_);
  saved_ = manifest.step;
  auto to = snapshot_.begin();
  for (const auto& kind : kKinds) {
    for (const auto& range : owned_) {
      download_bytes(range.*kind.values, std::as_writable_bytes(std::span(*to)), stream);
      ++to;
    }
  }
  writer_ = std::jthread([this, manifest = std::move(manifest)] { write(manifest); });
}

void Checkpointer::wait() {
  if (writer_.joinable()) writer_.join();
}

void Checkpointer::write(const Manifest& manifest) {
  std::vector<Piece> pieces;
  auto values = snapshot_.begin();
  for (const auto& kind : kKinds) {
    for (const auto& range : owned_) {
      std::span<const float> rest(*values++);
      for (auto& box : owned_boxes(range)) {
        const auto count = static_cast<std::size_t>(box.elements());
        pieces.push_back({.tensor = kind.prefix + range.parameter->parameter.name,
                          .box = std::move(box),
                          .values = rest.first(count)});
        rest = rest.subspan(count);
      }
    }
  }
  try {
    const auto shard = write_shard(staging_folder(root_, manifest.step), rank_, pieces);
    host_.shard_written(manifest, rank_, shard);
  } catch (const std::exception& error) {
    host_.shard_failed(manifest.step, rank_, error.what());
  }
}

}  // namespace fulgur
