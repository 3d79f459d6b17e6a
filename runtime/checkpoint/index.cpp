#include "runtime/checkpoint/index.hpp"

#include <fmt/format.h>

#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/checkpoint/boxes.hpp"
#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/hdf5.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Kind = CheckpointError::Kind;

struct Source {
  const ShardRecord* shard;
  const PieceRecord* piece;
};
using Sources = std::map<std::string_view, std::vector<Source>>;
// Elements of a dataset of a shard: the pieces fill it.
using Sizes = std::map<std::pair<std::string_view, std::string_view>, hsize_t>;

std::vector<hsize_t> to_hsize(std::span<const std::int64_t> values) {
  return {values.begin(), values.end()};
}

Hdf5Object simple_space(std::span<const hsize_t> dims, const Hdf5Check& check) {
  const auto id = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
  return {check(id, "H5Screate_simple"), H5Sclose};
}

void select(const Hdf5Object& space, std::span<const hsize_t> start, std::span<const hsize_t> count,
            const Hdf5Check& check) {
  check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(),
                            nullptr),
        "H5Sselect_hyperslab");
}

class IndexWriter {
 public:
  IndexWriter(hid_t file, const Manifest& manifest, const Hdf5Check& check)
      : file_(file), check_(check) {
    for (const auto& shard : manifest.shards) {
      for (const auto& piece : shard.pieces) {
        sources_[piece.tensor].push_back({&shard, &piece});
        auto& size = sizes_[{shard.file, piece.dataset}];
        size = std::max(size, static_cast<hsize_t>(piece.offset + piece.box.elements()));
      }
    }
  }

  // One group per kind of tensor.
  void write_groups(const Manifest& manifest) const {
    const auto creation = creation_properties(H5P_GROUP_CREATE, check_);
    std::set<std::string> kinds;
    for (const auto& tensor : manifest.tensors)
      kinds.insert(tensor.name.substr(0, tensor.name.find('/')));
    for (const auto& kind : kinds) {
      const auto id = H5Gcreate2(file_, kind.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT);
      Hdf5Object(check_(id, "H5Gcreate2"), H5Gclose).close(check_);
    }
  }

  void write(const TensorRecord& tensor) const {
    const auto space = simple_space(to_hsize(tensor.shape), check_);
    const auto creation = creation_properties(H5P_DATASET_CREATE, check_);
    const float missing = std::numeric_limits<float>::quiet_NaN();
    check_(H5Pset_fill_value(creation.get(), H5T_NATIVE_FLOAT, &missing), "H5Pset_fill_value");
    for (const auto& source : sources_.at(tensor.name))
      map(source, space, creation);
    Hdf5Object dataset(check_(H5Dcreate2(file_, tensor.name.c_str(), H5T_IEEE_F32LE, space.get(),
                                         H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                              "H5Dcreate2"),
                       H5Dclose);
    dataset.close(check_);
  }

 private:
  // The file name has no folder in it, so that the checkpoint can be moved.
  void map(const Source& source, const Hdf5Object& space, const Hdf5Object& creation) const {
    const auto& piece = *source.piece;
    const hsize_t size = sizes_.at({source.shard->file, piece.dataset});
    const auto from = simple_space({&size, 1}, check_);
    const auto at = static_cast<hsize_t>(piece.offset);
    const auto count = static_cast<hsize_t>(piece.box.elements());
    select(space, to_hsize(piece.box.start), to_hsize(piece.box.count), check_);
    select(from, {&at, 1}, {&count, 1}, check_);
    check_(H5Pset_virtual(creation.get(), space.get(), source.shard->file.c_str(),
                          piece.dataset.c_str(), from.get()),
           "H5Pset_virtual");
    check_(H5Sselect_all(space.get()), "H5Sselect_all");
  }

  hid_t file_;
  const Hdf5Check& check_;
  Sources sources_;
  Sizes sizes_;
};

void write_attribute(hid_t file, const char* name, std::int64_t value, const Hdf5Check& check) {
  const Hdf5Object space(check(H5Screate(H5S_SCALAR), "H5Screate"), H5Sclose);
  Hdf5Object attribute(
      check(H5Acreate2(file, name, H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT),
            "H5Acreate2"),
      H5Aclose);
  check(H5Awrite(attribute.get(), H5T_NATIVE_INT64, &value), "H5Awrite");
  attribute.close(check);
}

}  // namespace

ShardRecord write_index(const fs::path& folder, const Manifest& manifest) {
  const auto path = folder / "index.h5";
  remove_path(path);
  RemoveUnlessKept guard(path);
  const Hdf5Check check(path, Kind::kIo);
  auto file = create_hdf5(path);
  write_attribute(file.get(), "format", manifest.format, check);
  write_attribute(file.get(), "step", manifest.step, check);
  write_attribute(file.get(), "tokens", manifest.tokens, check);
  const IndexWriter writer(file.get(), manifest, check);
  writer.write_groups(manifest);
  for (const auto& tensor : manifest.tensors)
    writer.write(tensor);
  file.close(check);

  const auto written = open_regular(path);
  sync(written, path);
  guard.keep();
  return {.file = path.filename().string(),
          .bytes = size_of(written, path),
          .xxh128 = hash_of(written, path),
          .pieces = {}};
}

}  // namespace fulgur
