#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace fulgur {

// What `fulgur doctor` finds out about a machine, before anything is judged. Sizes in bytes; a text is
// empty and a number kUnknown where the system does not say.

inline constexpr std::int64_t kUnknown = -1;
inline constexpr std::int64_t kUnlimited = INT64_MAX;

// A folder that runs write to, and the file system below it.
struct FolderFacts {
  std::string path;
  bool writable = false;
  std::int64_t free_bytes = kUnknown;
  std::int64_t size_bytes = kUnknown;
};

// What the operating system tells any program.
struct HostFacts {
  std::int64_t cores = 0;         // that this process may use
  std::int64_t cores_online = 0;  // of the machine
  double cpu_quota = 0;           // of its control group, in cores; 0: none
  std::int64_t memory_bytes = kUnknown;
  std::int64_t memory_available = kUnknown;
  std::int64_t memory_limit = kUnlimited;  // of its control group
  std::int64_t memory_used = kUnknown;     // in its control group
  FolderFacts shared_memory;               // /dev/shm
  FolderFacts temporary;                   // $TMPDIR
  FolderFacts runs;                        // where the run directories are
  std::int64_t open_files = kUnknown;      // soft limits of this process
  std::int64_t locked_memory = kUnknown;
  std::int64_t processes = kUnknown;
  std::int64_t core_file = kUnknown;
  std::int64_t ptrace_scope = kUnknown;  // of the Yama security module
  bool may_trace = false;                // the process has CAP_SYS_PTRACE
  std::int64_t huge_pages = kUnknown;    // reserved
  std::string transparent_huge_pages;    // "always", "madvise", "never"
  std::int64_t first_port = kUnknown;    // of those that the system gives out
  std::int64_t last_port = kUnknown;
  bool loopback = false;  // a socket listens and connects on 127.0.0.1
  std::string clock_source;
  bool clock_synchronised = false;
  bool has_nvidia_device = false;  // /dev/nvidia0
  std::string nvidia_driver;       // its version
  std::string slurm;               // path of sbatch
};

struct GpuFacts {
  std::string name;
  std::int64_t memory_bytes = 0;
  std::int64_t major = 0;  // compute capability
  std::int64_t minor = 0;
  std::string problem;  // why it runs no kernel of this build
};

// What a worker sees of the libraries that it is linked with.
struct LibraryFacts {
  bool cuda = false;              // built with it
  std::int64_t cuda_runtime = 0;  // 13000: CUDA 13.0
  std::int64_t cuda_driver = 0;   // the newest CUDA that the driver serves; 0: no driver
  std::string cuda_problem;       // why the GPUs cannot be used
  std::vector<GpuFacts> gpus;
  std::string nccl;  // version; empty: built without
  std::string ucx;
  std::string ucx_problem;                  // why it cannot be opened
  std::vector<std::string> ucx_transports;  // "tcp/eth0", "posix/memory"
  std::vector<std::string> ucx_lanes;       // between two workers on this machine
  std::string hdf5;
  bool hdf5_thread_safe = false;
  std::string blas;
};

// As JSON, and back. from_json() throws std::invalid_argument for what to_json() does not write.
std::string to_json(const LibraryFacts& facts);
LibraryFacts library_facts_from_json(const std::string& text);

BOOST_DESCRIBE_STRUCT(GpuFacts, (), (name, memory_bytes, major, minor, problem))
BOOST_DESCRIBE_STRUCT(LibraryFacts, (),
                      (cuda, cuda_runtime, cuda_driver, cuda_problem, gpus, nccl, ucx, ucx_problem,
                       ucx_transports, ucx_lanes, hdf5, hdf5_thread_safe, blas))

}  // namespace fulgur
