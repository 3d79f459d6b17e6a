#pragma once

namespace fulgur {

// How many threads each matrix product on the CPU may use, in this process, from now on; at least
// 1. With several workers on one machine their sum should not exceed its cores.
void set_cpu_threads(int threads);

}  // namespace fulgur
