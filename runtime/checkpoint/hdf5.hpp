#pragma once

#include <hdf5.h>

#include <filesystem>
#include <string>
#include <utility>

#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// The HDF5 library is used with the format of 1.10 alone: its metadata carry checksums, and damaged
// files end in errors instead of crashes. No file locks, no plugins.

// Turns the status of a call about one file into an exception with the library's own reason.
class Hdf5Check {
 public:
  // `path` must outlive it.
  Hdf5Check(const std::filesystem::path& path, CheckpointError::Kind kind)
      : path_(path), kind_(kind) {}

  // The result, when it is not negative.
  template <typename T>
  T operator()(T result, const char* call) const {
    if (result < 0) fail(call);
    return result;
  }
  [[noreturn]] void fail(const char* call) const;

 private:
  const std::filesystem::path& path_;
  CheckpointError::Kind kind_;
};

// Owns one HDF5 identifier together with the function that gives it back.
class Hdf5Object {
 public:
  using Release = herr_t (*)(hid_t);

  Hdf5Object() = default;
  Hdf5Object(hid_t id, Release release) noexcept : id_(id), release_(release) {}
  Hdf5Object(const Hdf5Object&) = delete;
  Hdf5Object& operator=(const Hdf5Object&) = delete;
  Hdf5Object(Hdf5Object&& other) noexcept
      : id_(std::exchange(other.id_, -1)), release_(other.release_) {}
  Hdf5Object& operator=(Hdf5Object&& other) noexcept;
  ~Hdf5Object();

  hid_t get() const noexcept { return id_; }
  // HDF5 reports a full disk as late as here: whoever writes closes by hand. The destructor is for
  // reading, and for ways out that fail anyway.
  void close(const Hdf5Check& check);

 private:
  hid_t id_ = -1;
  Release release_ = nullptr;
};

// Properties for a new object (H5P_DATASET_CREATE, H5P_GROUP_CREATE, H5P_FILE_CREATE) that keeps no
// times: equal contents make equal files.
Hdf5Object creation_properties(hid_t kind, const Hdf5Check& check);

// A new file; it must not exist.
Hdf5Object create_hdf5(const std::filesystem::path& path);
// For reading. `name` is what HDF5 opens, `path` what messages say.
Hdf5Object open_hdf5(const std::string& name, const std::filesystem::path& path);

// A new contiguous dataset of float32 whose space is allocated and not filled.
Hdf5Object create_flat_dataset(hid_t file, const std::string& name, hsize_t elements,
                               const Hdf5Check& check);

// Opens a dataset as the shards have them. Anything else is refused (kInvalid): soft and external
// links, virtual or chunked storage, filters, external files, other types, more than one dim.
Hdf5Object open_flat_dataset(hid_t file, const std::string& name,
                             const std::filesystem::path& path);

}  // namespace fulgur
