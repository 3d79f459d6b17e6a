#include "runtime/checkpoint/hdf5.hpp"

#include <fmt/format.h>

#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/hdf5_version.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Kind = CheckpointError::Kind;

// From this size on a dataset begins at a multiple of it: writes then touch whole pages.
constexpr hsize_t kAlignment = 4096;

// The innermost message of the error stack says what went wrong; the outer ones say where.
herr_t take_innermost(unsigned position, const H5E_error2_t* error, void* text) {
  if (position == 0 && error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
  return 0;
}

// Once per process, before anything else of HDF5. A file whose close failed (a full disk) stays open
// inside the library, which would write to it once more, and crash, at the end of the process: so it
// gets no say there. Filters from plugins are never loaded.
void prepare_library() {
  [[maybe_unused]] static const bool prepared = [] {
    H5dont_atexit();
    H5PLset_loading_state(0);
    return true;
  }();
}

// Per thread: a thread-safe HDF5 has one error stack in each.
void silence_errors() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Object access_properties(const Hdf5Check& check) {
  prepare_library();
  silence_errors();
  Hdf5Object properties(check(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate"), H5Pclose);
  const auto id = properties.get();
  check(H5Pset_libver_bounds(id, H5F_LIBVER_V110, H5F_LIBVER_V110), "H5Pset_libver_bounds");
  check(H5Pset_file_locking(id, false, true), "H5Pset_file_locking");
  check(H5Pset_alignment(id, kAlignment, kAlignment), "H5Pset_alignment");
  return properties;
}

void refuse_dataset(const fs::path& path, const std::string& name, const char* reason) {
  fail_invalid(path, fmt::format("dataset `{}`: {}", name, reason));
}

}  // namespace

Hdf5Version hdf5_version() {
  prepare_library();
  unsigned major = 0, minor = 0, release = 0;
  hbool_t thread_safe = 0;
  H5get_libversion(&major, &minor, &release);
  H5is_library_threadsafe(&thread_safe);
  return {.number = fmt::format("{}.{}.{}", major, minor, release), .thread_safe = thread_safe};
}

void Hdf5Check::fail(const char* call) const {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, &reason);
  H5Eclear2(H5E_DEFAULT);
  throw CheckpointError(kind_, fmt::format("{}: {} failed{}{}", path_.string(), call,
                                           reason.empty() ? "" : ": ", reason));
}

Hdf5Object& Hdf5Object::operator=(Hdf5Object&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(release_, other.release_);
  return *this;
}

Hdf5Object::~Hdf5Object() {
  if (id_ >= 0) release_(id_);
}

void Hdf5Object::close(const Hdf5Check& check) {
  check(release_(std::exchange(id_, -1)), "closing an HDF5 object");
}

Hdf5Object creation_properties(hid_t kind, const Hdf5Check& check) {
  Hdf5Object properties(check(H5Pcreate(kind), "H5Pcreate"), H5Pclose);
  check(H5Pset_obj_track_times(properties.get(), false), "H5Pset_obj_track_times");
  return properties;
}

Hdf5Object create_hdf5(const fs::path& path) {
  const Hdf5Check check(path, Kind::kIo);
  const auto access = access_properties(check);
  const auto creation = creation_properties(H5P_FILE_CREATE, check);
  const auto id = H5Fcreate(path.c_str(), H5F_ACC_EXCL, creation.get(), access.get());
  return {check(id, "H5Fcreate"), H5Fclose};
}

Hdf5Object open_hdf5(const std::string& name, const fs::path& path) {
  const Hdf5Check check(path, Kind::kInvalid);
  const auto access = access_properties(check);
  return {check(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.get()), "H5Fopen"), H5Fclose};
}

Hdf5Object create_flat_dataset(hid_t file, const std::string& name, hsize_t elements,
                               const Hdf5Check& check) {
  const Hdf5Object space(check(H5Screate_simple(1, &elements, nullptr), "H5Screate_simple"),
                         H5Sclose);
  const auto creation = creation_properties(H5P_DATASET_CREATE, check);
  check(H5Pset_layout(creation.get(), H5D_CONTIGUOUS), "H5Pset_layout");
  check(H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time");
  check(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time");
  const auto id = H5Dcreate2(file, name.c_str(), H5T_IEEE_F32LE, space.get(), H5P_DEFAULT,
                             creation.get(), H5P_DEFAULT);
  return {check(id, "H5Dcreate2"), H5Dclose};
}

Hdf5Object open_flat_dataset(hid_t file, const std::string& name, const fs::path& path) {
  const Hdf5Check check(path, Kind::kInvalid);
  H5L_info_t link{};
  check(H5Lget_info(file, name.c_str(), &link, H5P_DEFAULT), "H5Lget_info");
  if (link.type != H5L_TYPE_HARD) refuse_dataset(path, name, "is a soft or external link");
  Hdf5Object dataset(check(H5Dopen2(file, name.c_str(), H5P_DEFAULT), "H5Dopen2"), H5Dclose);
  const Hdf5Object creation(check(H5Dget_create_plist(dataset.get()), "H5Dget_create_plist"),
                            H5Pclose);
  if (check(H5Pget_layout(creation.get()), "H5Pget_layout") != H5D_CONTIGUOUS)
    refuse_dataset(path, name, "expected contiguous storage");
  if (check(H5Pget_nfilters(creation.get()), "H5Pget_nfilters") != 0)
    refuse_dataset(path, name, "expected no filters");
  if (check(H5Pget_external_count(creation.get()), "H5Pget_external_count") != 0)
    refuse_dataset(path, name, "expected no external files");
  const Hdf5Object type(check(H5Dget_type(dataset.get()), "H5Dget_type"), H5Tclose);
  if (check(H5Tequal(type.get(), H5T_IEEE_F32LE), "H5Tequal") == 0)
    refuse_dataset(path, name, "expected float32, little endian");
  const Hdf5Object space(check(H5Dget_space(dataset.get()), "H5Dget_space"), H5Sclose);
  if (check(H5Sget_simple_extent_ndims(space.get()), "H5Sget_simple_extent_ndims") != 1)
    refuse_dataset(path, name, "expected one dim");
  return dataset;
}

}  // namespace fulgur
