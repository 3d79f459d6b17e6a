#include "runtime/checkpoint/hash.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include <array>
#include <new>
#include <stdexcept>

namespace fulgur {
namespace {

std::string hex_of(std::span<const unsigned char> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const auto byte : bytes)
    fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

}  // namespace

Xxh128::Xxh128() : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  if (XXH3_128bits_reset(state_.get()) != XXH_OK)
    throw std::runtime_error("XXH3_128bits_reset failed");
}

void Xxh128::Free::operator()(XXH3_state_s* state) const noexcept {
  XXH3_freeState(state);
}

void Xxh128::update(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()) != XXH_OK)
    throw std::runtime_error("XXH3_128bits_update failed");
}

std::string Xxh128::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
  return hex_of(canonical.digest);
}

std::string sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("OpenSSL refused to calculate a SHA-256");
  return hex_of(std::span(digest).first(size));
}

}  // namespace fulgur
