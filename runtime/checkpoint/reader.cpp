#include "runtime/checkpoint/reader.hpp"

#include <fmt/format.h>

#include <deque>
#include <map>
#include <stdexcept>
#include <utility>

#include "runtime/checkpoint/box_index.hpp"
#include "runtime/checkpoint/coverage.hpp"
#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/hash.hpp"
#include "runtime/checkpoint/piece_cache.hpp"
#include "runtime/checkpoint/shard_reader.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Kind = CheckpointError::Kind;

constexpr std::int64_t kMaxManifest = std::int64_t{1} << 30;  // bytes
constexpr std::int64_t kMaxManifestHash = 256;
constexpr std::size_t kMaxOpenShards = 64;
constexpr std::int64_t kMaxCached = std::int64_t{256} << 20;  // bytes

Manifest read_manifest(const fs::path& folder) {
  const auto path = folder / kManifestFile;
  const auto text = read_text(path, kMaxManifest);
  auto expected = read_text(folder / kManifestHashFile, kMaxManifestHash);
  const auto got = sha256(text);
  if (expected != got + "\n")
    fail_invalid(path, fmt::format("the file is damaged: its SHA-256 is {}, not that of {}", got,
                                   kManifestHashFile));
  auto manifest = manifest_from_json(text, path);
  check_manifest(manifest, path);
  check_coverage(manifest, path);
  return manifest;
}

}  // namespace

class CheckpointReader::Impl {
 public:
  explicit Impl(const fs::path& folder) : folder_(folder), manifest_(read_manifest(folder)) {
    std::map<std::string_view, std::vector<Source>> sources;
    for (const auto& shard : manifest_.shards) {
      const auto path = folder_ / shard.file;
      const auto size = size_of(open_regular(path), path);
      if (size != shard.bytes)
        fail_invalid(path, fmt::format("expected {} bytes, got {}", shard.bytes, size));
      for (const auto& piece : shard.pieces)
        sources[piece.tensor].push_back({&shard, &piece});
    }
    for (const auto& tensor : manifest_.tensors)
      tensors_.try_emplace(tensor.name, tensor, std::move(sources[tensor.name]));
  }

  const Manifest& manifest() const noexcept { return manifest_; }
  bool has(std::string_view tensor) const { return tensors_.contains(tensor); }

  const std::vector<std::int64_t>& shape(std::string_view name) const {
    return find(name).record.shape;
  }

  void read(std::string_view name, const Box& box, std::span<float> out) {
    const auto& tensor = find(name);
    if (!is_inside(box, tensor.record.shape))
      fail_invalid(folder_,
                   fmt::format("tensor `{}` has the shape [{}]; wanted is a box with start "
                               "[{}] and count [{}]",
                               name, fmt::join(tensor.record.shape, ", "),
                               fmt::join(box.start, ", "), fmt::join(box.count, ", ")));
    if (box.elements() != static_cast<std::int64_t>(out.size()))
      throw std::invalid_argument(
          fmt::format("CheckpointReader::read: tensor `{}`: the box {} has "
                      "{} elements, the place for them {}",
                      name, to_text(box), box.elements(), out.size()));
    for (const auto number : tensor.index.overlapping(box))
      read_part(tensor.sources[number], box, out);
  }

  void read(std::string_view name, std::int64_t begin, std::span<float> out) {
    const auto& tensor = find(name);
    const auto count = element_count(tensor.record);
    const auto end = begin + static_cast<std::int64_t>(out.size());
    if (begin < 0 || begin > count || end > count)
      fail_invalid(folder_, fmt::format("tensor `{}` has {} elements; wanted are [{}, {})", name,
                                        count, begin, end));
    for (const auto& box : boxes(tensor.record.shape, begin, end)) {
      const auto elements = static_cast<std::size_t>(box.elements());
      read(name, box, out.first(elements));
      out = out.subspan(elements);
    }
  }

  std::vector<std::string> problems() {
    std::vector<std::string> found;
    std::vector<float> values;
    for (const auto& shard : manifest_.shards) {
      try {
        auto& reader = open(shard);
        for (const auto& piece : shard.pieces) {
          values.resize(static_cast<std::size_t>(piece.box.elements()));
          reader.read(piece, values);
        }
      } catch (const CheckpointError& error) {
        found.emplace_back(error.what());
      }
    }
    return found;
  }

 private:
  struct Source {
    const ShardRecord* shard;
    const PieceRecord* piece;
  };
  struct StoredTensor {
    StoredTensor(const TensorRecord& tensor, std::vector<Source> from)
        : record(tensor), sources(std::move(from)), index(boxes_of(sources)) {}

    const TensorRecord& record;
    std::vector<Source> sources;
    BoxIndex index;  // of the boxes of the sources
  };

  static std::vector<const Box*> boxes_of(const std::vector<Source>& sources) {
    std::vector<const Box*> found;
    found.reserve(sources.size());
    for (const auto& source : sources)
      found.push_back(&source.piece->box);
    return found;
  }

  const StoredTensor& find(std::string_view name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      fail_invalid(folder_, fmt::format("the checkpoint holds no tensor `{}`", name));
    return found->second;
  }

  // What a piece holds of a box. A piece that is wanted whole, and in one run, goes straight to its place.
  void read_part(const Source& source, const Box& box, std::span<float> out) {
    const auto& piece = *source.piece;
    const auto part = *intersection(piece.box, box);
    const auto* cached = cache_.find(piece);
    if (cached == nullptr && part == piece.box) {
      if (const auto at = offset_of_run(box, part)) {
        open(*source.shard)
            .read(piece, out.subspan(static_cast<std::size_t>(*at),
                                     static_cast<std::size_t>(part.elements())));
        return;
      }
    }
    if (cached == nullptr) {
      std::vector<float> values(static_cast<std::size_t>(piece.box.elements()));
      open(*source.shard).read(piece, values);
      cached = &cache_.insert(piece, std::move(values));
    }
    copy_box(part, piece.box, *cached, box, out);
  }

  ShardReader& open(const ShardRecord& shard) {
    const auto found = open_.find(&shard);
    if (found != open_.end()) return found->second;
    if (open_.size() >= kMaxOpenShards) {
      open_.erase(opened_.front());
      opened_.pop_front();
    }
    auto& reader = open_.try_emplace(&shard, folder_, shard, verified_[&shard]).first->second;
    opened_.push_back(&shard);
    return reader;
  }

  fs::path folder_;
  Manifest manifest_;
  std::map<std::string_view, StoredTensor> tensors_;
  std::map<const ShardRecord*, ShardReader> open_;
  std::deque<const ShardRecord*> opened_;  // oldest first
  std::map<const ShardRecord*, FileFacts> verified_;
  PieceCache cache_{kMaxCached};
};

CheckpointReader::CheckpointReader(const fs::path& folder)
    : impl_(std::make_unique<Impl>(folder)) {}
CheckpointReader::~CheckpointReader() = default;
CheckpointReader::CheckpointReader(CheckpointReader&& other) noexcept = default;
CheckpointReader& CheckpointReader::operator=(CheckpointReader&& other) noexcept = default;

const Manifest& CheckpointReader::manifest() const noexcept {
  return impl_->manifest();
}
bool CheckpointReader::has(std::string_view tensor) const {
  return impl_->has(tensor);
}
const std::vector<std::int64_t>& CheckpointReader::shape(std::string_view tensor) const {
  return impl_->shape(tensor);
}
void CheckpointReader::read(std::string_view tensor, const Box& box, std::span<float> out) {
  impl_->read(tensor, box, out);
}
void CheckpointReader::read(std::string_view tensor, std::int64_t begin, std::span<float> out) {
  impl_->read(tensor, begin, out);
}

std::vector<std::string> CheckpointReader::problems() {
  return impl_->problems();
}

}  // namespace fulgur
