#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fulgur {

// The bytes of a regular file. Throws DataError, with the path first, when it is missing, not a
// regular file, unreadable or empty, or when its length changes while it is read.
//
// The file is read, not memory-mapped: a mapped file that somebody truncates kills the process with
// SIGBUS, and the tokens are copied anyway.
std::string read_text_file(const std::string& path);

// The documents of a text, in order, as views into it.
//
// Lines end in LF or CR LF. A line equal to `separator` ends a document; with an empty separator the
// whole text is one document. The line end of a document's last line is not part of it, the others
// are. Documents that are then empty are left out.
std::vector<std::string_view> split_documents(std::string_view text, std::string_view separator);

}  // namespace fulgur
