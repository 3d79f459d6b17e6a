#include "cluster/wire/secret.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace fulgur {
namespace {

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

OSSL_PARAM octets(const char* name, std::string_view value) {
  // OSSL_PARAM takes what it only reads as non-const.
  return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(value.data()), value.size());
}

struct KdfDelete {
  void operator()(EVP_KDF* kdf) const noexcept { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const noexcept { EVP_KDF_CTX_free(context); }
};

}  // namespace

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(bytes_of(bytes), static_cast<int>(count)) != 1)
    throw std::runtime_error("RAND_bytes: no random numbers");
  return bytes;
}

std::string hmac(std::string_view key, std::string_view bytes) {
  std::string digest(kDigestBytes, '\0');
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(bytes), bytes.size(),
           bytes_of(digest), &size) == nullptr ||
      size != kDigestBytes) {
    throw std::runtime_error("HMAC: failed");
  }
  return digest;
}

std::string derive_key(std::string_view secret, std::string_view salt, std::string_view purpose) {
  const std::unique_ptr<EVP_KDF, KdfDelete> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  if (!kdf) throw std::runtime_error("EVP_KDF_fetch: no HKDF");
  const std::unique_ptr<EVP_KDF_CTX, KdfDelete> context(EVP_KDF_CTX_new(kdf.get()));
  std::string digest = "SHA256";
  const std::array parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      octets(OSSL_KDF_PARAM_KEY, secret), octets(OSSL_KDF_PARAM_SALT, salt),
      octets(OSSL_KDF_PARAM_INFO, purpose), OSSL_PARAM_construct_end()};
  std::string key(kDigestBytes, '\0');
  if (!context || EVP_KDF_derive(context.get(), bytes_of(key), key.size(), parameters.data()) != 1)
    throw std::runtime_error("EVP_KDF_derive: failed");
  return key;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace fulgur
