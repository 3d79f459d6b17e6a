#include "runtime/checkpoint/shard_reader.hpp"

#include <fmt/format.h>

#include "runtime/checkpoint/hash.hpp"

namespace fulgur {

using Kind = CheckpointError::Kind;

ShardReader::ShardReader(const std::filesystem::path& folder, const ShardRecord& record,
                         FileFacts& verified)
    : path_(folder / record.file), file_(open_regular(path_)) {
  const auto facts = facts_of(file_, path_);
  if (facts.size != record.bytes)
    fail_invalid(path_, fmt::format("expected {} bytes, got {}", record.bytes, facts.size));
  if (facts != verified) {
    const auto hash = hash_of(file_, path_);
    if (hash != record.xxh128)
      fail_invalid(path_, fmt::format("the file is damaged: expected XXH3-128 {}, got {}",
                                      record.xxh128, hash));
    verified = facts;
  }
  // By the descriptor, not by the name: the name may be given to another file meanwhile.
  hdf5_ = open_hdf5(fmt::format("/proc/self/fd/{}", file_.get()), path_);
}

hid_t ShardReader::dataset(const std::string& name) {
  auto found = datasets_.find(name);
  if (found == datasets_.end())
    found = datasets_.emplace(name, open_flat_dataset(hdf5_.get(), name, path_)).first;
  return found->second.get();
}

void ShardReader::read(const PieceRecord& piece, std::span<float> out) {
  const Hdf5Check check(path_, Kind::kInvalid);
  const auto id = dataset(piece.dataset);
  const Hdf5Object from(check(H5Dget_space(id), "H5Dget_space"), H5Sclose);
  const auto size = check(H5Sget_simple_extent_npoints(from.get()), "H5Sget_simple_extent_npoints");
  const auto count = static_cast<hsize_t>(out.size());
  if (piece.offset > size || static_cast<hsize_t>(size - piece.offset) < count)
    fail_invalid(path_, fmt::format("tensor `{}`: the dataset `{}` has {} elements, too few",
                                    piece.tensor, piece.dataset, size));
  const auto start = static_cast<hsize_t>(piece.offset);
  check(H5Sselect_hyperslab(from.get(), H5S_SELECT_SET, &start, nullptr, &count, nullptr),
        "H5Sselect_hyperslab");
  const Hdf5Object to(check(H5Screate_simple(1, &count, nullptr), "H5Screate_simple"), H5Sclose);
  check(H5Dread(id, H5T_NATIVE_FLOAT, to.get(), from.get(), H5P_DEFAULT, out.data()), "H5Dread");
  Xxh128 hash;
  hash.update(std::as_bytes(out));
  if (hash.hex() != piece.xxh128)
    fail_invalid(
        path_, fmt::format("tensor `{}`: the elements {} are damaged: expected XXH3-128 {}, got {}",
                           piece.tensor, to_text(piece.box), piece.xxh128, hash.hex()));
}

}  // namespace fulgur
