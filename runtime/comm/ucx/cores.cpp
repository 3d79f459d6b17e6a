#include "runtime/comm/ucx/cores.hpp"

#include <cstddef>

namespace fulgur::ucx {

Cores usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  Cores cores;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return cores.set();
  for (std::size_t core = 0; core < cores.size(); ++core)
    cores[core] = CPU_ISSET(core, &set);
  return cores;
}

std::string pack(const Cores& cores) {
  std::string bytes(kPackedCores, '\0');
  for (std::size_t core = 0; core < cores.size(); ++core) {
    if (cores[core]) bytes[core / 8] = static_cast<char>(bytes[core / 8] | 1 << core % 8);
  }
  return bytes;
}

Cores unpack_cores(std::string_view bytes) {
  Cores cores;
  for (std::size_t core = 0; core < cores.size() && core / 8 < bytes.size(); ++core)
    cores[core] = (bytes[core / 8] >> core % 8 & 1) != 0;
  return cores;
}

bool is_crowded(const std::vector<Cores>& of_ranks) {
  Cores all;
  for (const auto& cores : of_ranks)
    all |= cores;
  return of_ranks.size() > all.count();
}

}  // namespace fulgur::ucx
