#include "runtime/checkpoint/shard_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <map>
#include <stdexcept>
#include <utility>

#include "runtime/checkpoint/hdf5.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Kind = CheckpointError::Kind;

constexpr auto kElementBytes = static_cast<std::int64_t>(sizeof(float));

std::string kind_of(const PieceRange& range) {
  const auto slash = range.tensor.find('/');
  if (slash == 0 || slash == std::string::npos)
    throw std::invalid_argument("write_shard: expected a tensor name of the form kind/name, got `" +
                                range.tensor + "`");
  return range.tensor.substr(0, slash);
}

std::int64_t elements_of(const PieceRange& range) {
  const auto& [start, count] = range.box;
  const auto elements = count_elements(count);
  if (start.empty() || start.size() != count.size() || !elements || !count_elements(start))
    throw std::invalid_argument(
        fmt::format("write_shard: tensor `{}`: impossible box: start [{}], count [{}]",
                    range.tensor, fmt::join(start, ", "), fmt::join(count, ", ")));
  return *elements;
}

// Gives every piece its dataset and offset; the hashes come with the values.
std::vector<PieceRecord> place_pieces(std::span<const PieceRange> ranges,
                                      std::int64_t max_elements) {
  std::vector<PieceRecord> pieces;
  std::map<std::string, std::int64_t> filled;  // elements per dataset
  for (const auto& range : ranges) {
    const auto kind = kind_of(range);
    if (elements_of(range) == 0) continue;
    auto& offset = filled[kind];
    for (auto& box : cut(range.box, max_elements)) {
      const auto elements = box.elements();
      pieces.push_back({.tensor = range.tensor,
                        .box = std::move(box),
                        .dataset = kind,
                        .offset = offset,
                        .xxh128 = {}});
      offset += elements;
    }
  }
  return pieces;
}

fs::path shard_path(const fs::path& folder, int rank) {
  if (rank < 0) throw std::invalid_argument(fmt::format("write_shard: rank {} is negative", rank));
  return folder / fmt::format("shard-{:05}.h5", rank);
}

// Bytes of all values; the numbers are checked here.
std::int64_t bytes_of(std::span<const PieceRange> ranges) {
  std::int64_t bytes = 0;
  for (const auto& range : ranges) {
    const auto more = elements_of(range) * kElementBytes;
    if (more > std::numeric_limits<std::int64_t>::max() - bytes)
      throw std::invalid_argument("write_shard: more values than any disk holds");
    bytes += more;
  }
  return bytes;
}

// Asks the file system for the blocks now: a full disk shows before the first value is written.
void allocate(const FileHandle& file, const fs::path& path, std::int64_t bytes) {
  if (bytes == 0 || ::fallocate(file.get(), 0, 0, bytes) == 0) return;
  if (errno != EOPNOTSUPP && errno != ENOSYS) fail_io(path, "allocate");
}

fs::path prepared(const fs::path& folder, int rank, std::int64_t bytes) {
  auto path = shard_path(folder, rank);
  create_folders(folder);
  remove_path(path);
  require_space(folder, bytes);
  return path;
}

}  // namespace

ShardWriter::ShardWriter(const fs::path& folder, int rank, std::span<const PieceRange> ranges,
                         std::int64_t max_piece_elements)
    : path_(prepared(folder, rank, bytes_of(ranges))),
      record_{.file = path_.filename().string(),
              .pieces = place_pieces(ranges, max_piece_elements)},
      guard_(path_) {
  lay_out();
  file_ = FileHandle(::open(path_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!file_) fail_io(path_, "open");
  record_.bytes = size_of(file_, path_);
  allocate(file_, path_, record_.bytes);
}

void ShardWriter::lay_out() {
  const Hdf5Check check(path_, Kind::kIo);
  std::map<std::string, std::int64_t> elements;
  for (const auto& piece : record_.pieces)
    elements[piece.dataset] += piece.box.elements();
  std::map<std::string, std::int64_t> places;
  auto file = create_hdf5(path_);
  for (const auto& [name, count] : elements) {
    auto dataset = create_flat_dataset(file.get(), name, static_cast<hsize_t>(count), check);
    const auto place = H5Dget_offset(dataset.get());
    if (place == HADDR_UNDEF) check.fail("H5Dget_offset");
    places[name] = static_cast<std::int64_t>(place);
    dataset.close(check);
  }
  file.close(check);
  for (const auto& piece : record_.pieces)
    places_.push_back(places[piece.dataset] + piece.offset * kElementBytes);
}

void ShardWriter::append(std::span<const float> values) {
  while (!values.empty()) {
    if (piece_ == record_.pieces.size())
      throw std::invalid_argument(path_.string() + ": more values than the pieces have");
    auto& piece = record_.pieces[piece_];
    const auto count =
        std::min(static_cast<std::int64_t>(values.size()), piece.box.elements() - written_);
    const auto part = std::as_bytes(values.first(static_cast<std::size_t>(count)));
    hash_.update(part);
    write_at(file_, path_, places_[piece_] + written_ * kElementBytes, part);
    values = values.subspan(static_cast<std::size_t>(count));
    written_ += count;
    if (written_ < piece.box.elements()) continue;
    piece.xxh128 = hash_.hex();
    hash_ = Xxh128();
    written_ = 0;
    ++piece_;
  }
}

ShardRecord ShardWriter::finish() {
  if (piece_ != record_.pieces.size())
    throw std::invalid_argument(path_.string() + ": fewer values than the pieces have");
  sync(file_, path_);
  record_.xxh128 = hash_of(file_, path_);
  guard_.keep();
  return record_;
}

}  // namespace fulgur
