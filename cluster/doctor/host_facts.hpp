#pragma once

#include <filesystem>

#include "cluster/doctor/facts.hpp"

namespace fulgur {

// Asks the operating system. `runs` is where the run directories are to be; it need not exist. Files of
// the system are read below `root`. What cannot be read stays unknown. Throws std::system_error when not
// even the cores can be counted.
HostFacts gather_host_facts(const std::filesystem::path& runs,
                            const std::filesystem::path& root = "/");

}  // namespace fulgur
