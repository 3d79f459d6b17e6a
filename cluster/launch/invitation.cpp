#include "cluster/launch/invitation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "cluster/launch/unique_fd.hpp"
#include "cluster/wire/secret.hpp"
#include "cluster/wire/text.hpp"
#include "cluster/wire/wire_error.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestLine = 4096;

[[noreturn]] void refuse(const std::string& problem) {
  throw InvitationError("fulgur agent is started by fulgur, it is of no use alone: " + problem);
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string needed(const char* name) {
  auto value = variable(name);
  if (value.empty()) refuse(fmt::format("{} is not set", name));
  return value;
}

int to_number(const std::string& text, const char* name, int max) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0 || number > max)
    refuse(fmt::format("{}={} is not a number between 0 and {}", name, text, max));
  return number;
}

std::string secret_from_hex(std::string_view digits) {
  std::string secret;
  try {
    secret = from_hex(digits);
  } catch (const WireError&) {
    refuse("the secret is not hexadecimal");
  }
  if (secret.size() != kSecretBytes)
    refuse(fmt::format("the secret has {} bytes, expected {}", secret.size(), kSecretBytes));
  return secret;
}

}  // namespace

std::string to_line(const Invitation& invitation) {
  json::object object;
  object["address"] = invitation.address;
  object["port"] = invitation.port;
  object["run_id"] = invitation.run_id;
  object["secret"] = to_hex(invitation.secret);
  object["node"] = invitation.node;
  object["nodes"] = invitation.nodes;
  return json::serialize(object) + "\n";
}

Invitation parse_invitation(std::string_view line) {
  Invitation invitation;
  std::string digits;
  try {
    const auto value = json::parse({line.data(), line.size()});
    invitation.address = value.at("address").as_string();
    invitation.port = value.at("port").to_number<std::uint16_t>();
    invitation.run_id = value.at("run_id").as_string();
    digits = value.at("secret").as_string();
    invitation.node = value.at("node").to_number<int>();
    invitation.nodes = value.at("nodes").to_number<int>();
  } catch (const std::exception&) {
    refuse("what came on its input is no invitation");
  }
  invitation.secret = secret_from_hex(digits);
  return invitation;
}

Invitation read_invitation(int fd) {
  std::string line;
  for (char c = 0; line.size() < kLongestLine;) {
    const auto count = ::read(fd, &c, 1);  // what follows the line is not ours to read
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0 || c == '\n') break;
    line += c;
  }
  if (line.empty()) refuse("nothing came on its input");
  return parse_invitation(line);
}

std::string read_secret_file() {
  const auto path = needed("FULGUR_SECRET_FILE");
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) refuse(fmt::format("{}: {}", path, std::strerror(errno)));
  struct stat facts {};
  if (::fstat(fd.get(), &facts) != 0) refuse(fmt::format("{}: {}", path, std::strerror(errno)));
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    refuse(fmt::format("{}: others than its owner may use it; chmod 600 it", path));
  std::array<char, 2 * kSecretBytes + 2> buffer{};
  const auto count = ::read(fd.get(), buffer.data(), buffer.size());
  if (count < 0) refuse(fmt::format("{}: {}", path, std::strerror(errno)));
  std::string_view digits(buffer.data(), static_cast<std::size_t>(count));
  if (digits.ends_with('\n')) digits.remove_suffix(1);
  return secret_from_hex(digits);
}

Invitation invitation_from_environment() {
  constexpr int kMostNodes = 1 << 20;
  Invitation invitation;
  invitation.address = needed("FULGUR_COORDINATOR_ADDRESS");
  invitation.port = static_cast<std::uint16_t>(
      to_number(needed("FULGUR_COORDINATOR_PORT"), "FULGUR_COORDINATOR_PORT", 65535));
  invitation.run_id = needed("FULGUR_RUN_ID");
  invitation.node = to_number(needed("FULGUR_NODE"), "FULGUR_NODE", kMostNodes);
  invitation.nodes = to_number(needed("FULGUR_NODES"), "FULGUR_NODES", kMostNodes);
  invitation.secret = read_secret_file();
  return invitation;
}

void complete(Invitation& invitation) {
  constexpr int kMostNodes = 1 << 20;
  if (invitation.node < 0)
    invitation.node = to_number(needed("SLURM_NODEID"), "SLURM_NODEID", kMostNodes);
  if (!invitation.address.empty()) return;
  const auto ssh = variable("SSH_CONNECTION");  // "client-address client-port server-address ..."
  invitation.address =
      ssh.empty() ? variable("SLURM_LAUNCH_NODE_IPADDR") : ssh.substr(0, ssh.find(' '));
  if (invitation.address.empty())
    refuse("neither SSH_CONNECTION nor SLURM_LAUNCH_NODE_IPADDR says where it was started from");
}

}  // namespace fulgur
