#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fulgur {

inline constexpr std::size_t kSecretBytes = 32;
inline constexpr std::size_t kDigestBytes = 32;  // SHA-256

// Bytes from the operating system's generator. Throws std::runtime_error.
std::string random_bytes(std::size_t count);

// HMAC-SHA256. Throws std::runtime_error.
std::string hmac(std::string_view key, std::string_view bytes);

// HKDF-SHA256: a key of kDigestBytes for one use, which `purpose` names. No argument may be empty.
// Throws std::runtime_error.
std::string derive_key(std::string_view secret, std::string_view salt, std::string_view purpose);

// Takes the same time wherever the texts differ.
bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

}  // namespace fulgur
