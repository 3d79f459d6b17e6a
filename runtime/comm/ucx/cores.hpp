#pragma once

#include <sched.h>

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

// Whether the ranks of a host have cores enough, so that a rank may spin while it waits.
namespace fulgur::ucx {

using Cores = std::bitset<CPU_SETSIZE>;

// Those that this thread may run on; all when the system does not say.
Cores usable_cores();

// As bytes, always the same number of them, for the other ranks of a group.
inline constexpr std::size_t kPackedCores = CPU_SETSIZE / 8;
std::string pack(const Cores& cores);
Cores unpack_cores(std::string_view bytes);

// Whether there are more ranks than cores that one or the other of them may use.
bool is_crowded(const std::vector<Cores>& of_ranks);

}  // namespace fulgur::ucx
