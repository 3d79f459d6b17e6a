#include "runtime/checkpoint/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "runtime/checkpoint/coverage.hpp"
#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/hash.hpp"
#include "runtime/checkpoint/shard_reader.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Kind = CheckpointError::Kind;

constexpr std::int64_t kMaxManifest = std::int64_t{1} << 30;  // bytes
constexpr std::int64_t kMaxManifestHash = 256;
constexpr std::size_t kMaxOpenShards = 64;

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
    for (const auto& shard : manifest_.shards) {
      const auto path = folder_ / shard.file;
      const auto size = size_of(open_regular(path), path);
      if (size != shard.bytes)
        fail_invalid(path, fmt::format("expected {} bytes, got {}", shard.bytes, size));
      for (const auto& piece : shard.pieces)
        sources_[piece.tensor].push_back({&shard, &piece});
    }
    for (const auto& tensor : manifest_.tensors) {
      tensors_[tensor.name] = &tensor;
      auto& sources = sources_[tensor.name];
      std::sort(sources.begin(), sources.end(),
                [](const Source& a, const Source& b) { return a.piece->begin < b.piece->begin; });
    }
  }

  const Manifest& manifest() const noexcept { return manifest_; }
  bool has(std::string_view tensor) const { return tensors_.contains(tensor); }

  const TensorRecord& tensor(std::string_view name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      fail_invalid(folder_, fmt::format("the checkpoint holds no tensor `{}`", name));
    return *found->second;
  }

  void read(std::string_view name, std::int64_t begin, std::span<float> out) {
    const auto count = element_count(tensor(name));
    const auto end = begin + static_cast<std::int64_t>(out.size());
    if (begin < 0 || begin > count || end > count)
      fail_invalid(folder_, fmt::format("tensor `{}` has {} elements; wanted are [{}, {})", name,
                                        count, begin, end));
    const auto& sources = sources_.find(name)->second;
    auto source = std::partition_point(sources.begin(), sources.end(),
                                       [&](const Source& s) { return s.piece->end <= begin; });
    for (; source != sources.end() && source->piece->begin < end; ++source) {
      const auto& piece = *source->piece;
      const auto from = std::max(begin, piece.begin), to = std::min(end, piece.end);
      const auto part =
          out.subspan(static_cast<std::size_t>(from - begin), static_cast<std::size_t>(to - from));
      if (from == piece.begin && to == piece.end) {
        open(*source->shard).read(piece, part);
        continue;
      }
      const auto whole = cached(*source);
      std::copy_n(whole.begin() + (from - piece.begin), part.size(), part.begin());
    }
  }

  std::vector<std::string> problems() {
    std::vector<std::string> found;
    std::vector<float> values;
    for (const auto& shard : manifest_.shards) {
      try {
        auto& reader = open(shard);
        for (const auto& piece : shard.pieces) {
          values.resize(static_cast<std::size_t>(piece.end - piece.begin));
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

  std::span<const float> cached(const Source& source) {
    if (cached_ != source.piece) {
      cached_ = nullptr;
      values_.resize(static_cast<std::size_t>(source.piece->end - source.piece->begin));
      open(*source.shard).read(*source.piece, values_);
      cached_ = source.piece;
    }
    return values_;
  }

  fs::path folder_;
  Manifest manifest_;
  std::map<std::string_view, const TensorRecord*> tensors_;
  std::map<std::string_view, std::vector<Source>> sources_;  // by begin
  std::map<const ShardRecord*, ShardReader> open_;
  std::deque<const ShardRecord*> opened_;  // oldest first
  std::map<const ShardRecord*, FileFacts> verified_;
  const PieceRecord* cached_ = nullptr;
  std::vector<float> values_;  // of cached_
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
  return impl_->tensor(tensor).shape;
}
void CheckpointReader::read(std::string_view tensor, std::int64_t begin, std::span<float> out) {
  impl_->read(tensor, begin, out);
}

std::vector<std::string> CheckpointReader::problems() {
  return impl_->problems();
}

}  // namespace fulgur
