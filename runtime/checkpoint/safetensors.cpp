#include "runtime/checkpoint/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "runtime/checkpoint/json_fields.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Type = SafetensorsType;

static_assert(std::endian::native == std::endian::little, "safetensors files are little endian");

constexpr std::int64_t kMaxHeader = 100'000'000;  // bytes, as the format itself says
constexpr std::int64_t kMaxIndex = std::int64_t{1} << 28;
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 60;
constexpr std::int64_t kPortion = std::int64_t{1} << 20;  // elements that are converted at once
constexpr std::size_t kLengthBytes = 8;

struct TypeFacts {
  std::string_view name;
  Type type;
  std::int64_t bytes;
};
constexpr TypeFacts kTypes[] = {{"F64", Type::kFloat64, 8}, {"F32", Type::kFloat32, 4},
                                {"F16", Type::kFloat16, 2}, {"BF16", Type::kBFloat16, 2},
                                {"I64", Type::kInt64, 8},   {"I32", Type::kInt32, 4},
                                {"I16", Type::kInt16, 2},   {"I8", Type::kInt8, 1},
                                {"U8", Type::kUInt8, 1},    {"BOOL", Type::kBool, 1}};

const TypeFacts& facts_of(Type type) {
  return kTypes[static_cast<std::size_t>(type)];
}

[[noreturn]] void refuse(const fs::path& path, std::string_view tensor, const std::string& reason) {
  fail_invalid(path, fmt::format("tensor `{}`: {}", tensor, reason));
}

// IEEE half precision: 1 sign, 5 exponent and 10 mantissa bits.
float from_half(std::uint16_t half) {
  const auto sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU, mantissa = half & 0x3FFU;
  if (exponent == 0) {
    const auto magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign == 0 ? magnitude : -magnitude;
  }
  const std::uint32_t wide = exponent == 0x1F ? 0xFFU : exponent + 112U;
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

float from_bfloat(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

template <typename From, typename To, typename Convert>
void convert(std::span<const std::byte> bytes, std::span<To> out, Convert to) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
    out[i] = to(value);
  }
}

constexpr auto kToFloat = [](auto value) { return static_cast<float>(value); };
constexpr auto kToInteger = [](auto value) { return static_cast<std::int64_t>(value); };

bool to_floats(Type type, std::span<const std::byte> bytes, std::span<float> out) {
  switch (type) {
    case Type::kFloat64:
      convert<double>(bytes, out, kToFloat);
      return true;
    case Type::kFloat32:
      convert<float>(bytes, out, kToFloat);
      return true;
    case Type::kFloat16:
      convert<std::uint16_t>(bytes, out, from_half);
      return true;
    case Type::kBFloat16:
      convert<std::uint16_t>(bytes, out, from_bfloat);
      return true;
    default:
      return false;
  }
}

bool to_integers(Type type, std::span<const std::byte> bytes, std::span<std::int64_t> out) {
  switch (type) {
    case Type::kInt64:
      convert<std::int64_t>(bytes, out, kToInteger);
      return true;
    case Type::kInt32:
      convert<std::int32_t>(bytes, out, kToInteger);
      return true;
    case Type::kInt16:
      convert<std::int16_t>(bytes, out, kToInteger);
      return true;
    case Type::kInt8:
      convert<std::int8_t>(bytes, out, kToInteger);
      return true;
    case Type::kUInt8:
    case Type::kBool:
      convert<std::uint8_t>(bytes, out, kToInteger);
      return true;
    default:
      return false;
  }
}

std::vector<std::int64_t> integers_of(const JsonFields& fields, std::string_view key) {
  std::vector<std::int64_t> values;
  for (const auto& value : fields.array(key)) {
    if (!is_integer(value) || value.to_number<std::int64_t>() < 0)
      fields.refuse(key, "a list of integers that are not negative");
    values.push_back(value.to_number<std::int64_t>());
  }
  return values;
}

// The entry of one tensor; its offset counts from the first byte behind the header.
SafetensorsEntry parse_entry(const fs::path& path, std::string_view name,
                             const boost::json::value& value) {
  const JsonFields fields(value, path);
  const auto type = fields.text("dtype");
  const auto* const found =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [&](const TypeFacts& facts) { return facts.name == type; });
  if (found == std::end(kTypes)) refuse(path, name, fmt::format("dtype {} is not supported", type));
  SafetensorsEntry entry{.type = found->type, .shape = integers_of(fields, "shape"), .count = 1};
  for (const auto dim : entry.shape) {
    if (dim != 0 && entry.count > kMaxBytes / 8 / dim) refuse(path, name, "impossible shape");
    entry.count *= dim;
  }
  const auto offsets = integers_of(fields, "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1] ||
      offsets[1] - offsets[0] != entry.count * found->bytes)
    refuse(path, name,
           fmt::format("data_offsets [{}] do not hold {} elements of {} bytes",
                       fmt::join(offsets, ", "), entry.count, found->bytes));
  entry.offset = offsets[0];
  return entry;
}

struct Extent {
  std::int64_t begin, end;
  std::string_view name;
};

// Every byte behind the header belongs to exactly one tensor: the format asks for it, and a name that
// stands twice in the header shows as a gap.
void check_extents(const fs::path& path, std::vector<Extent> extents, std::int64_t size) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::int64_t at = 0;
  for (const auto& extent : extents) {
    if (extent.begin < at) refuse(path, extent.name, "its values overlap those of another tensor");
    if (extent.begin > at)
      refuse(path, extent.name,
             fmt::format("{} bytes before it belong to no tensor", extent.begin - at));
    if (extent.end > size)
      refuse(path, extent.name,
             fmt::format("its values end at byte {}, but the file has only {}", extent.end, size));
    at = extent.end;
  }
  if (at != size)
    fail_invalid(path, fmt::format("{} bytes at the end belong to no tensor", size - at));
}

}  // namespace

SafetensorsReader::SafetensorsReader(const fs::path& path) : path_(path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    add_file(path);
  } else if (const auto index = path / "model.safetensors.index.json"; fs::exists(index, error)) {
    add_indexed_files(index);
  } else {
    add_file(path / "model.safetensors");
  }
}

std::size_t SafetensorsReader::add_file(const fs::path& path) {
  auto file = open_regular(path);
  const auto size = size_of(file, path);
  std::int64_t header_size = 0;
  if (size < static_cast<std::int64_t>(kLengthBytes))
    fail_invalid(path, "too short for a safetensors file");
  read_at(file, path, 0, std::as_writable_bytes(std::span(&header_size, 1)));
  const std::int64_t data_size = size - static_cast<std::int64_t>(kLengthBytes) - header_size;
  if (header_size < 2 || header_size > kMaxHeader || data_size < 0)
    fail_invalid(path, fmt::format("not a safetensors file: a header of {} bytes in a file of {}",
                                   header_size, size));
  std::string header(static_cast<std::size_t>(header_size), '\0');
  read_at(file, path, kLengthBytes, std::as_writable_bytes(std::span(header)));

  const auto value = parse_json(header, path);
  std::vector<Extent> extents;
  for (const auto& [key, described] : JsonFields(value, path).object()) {
    if (key == "__metadata__") continue;
    auto entry = parse_entry(path, key, described);
    const auto bytes = entry.count * facts_of(entry.type).bytes;
    extents.push_back({entry.offset, entry.offset + bytes, key});
    entry.offset += size - data_size;
    entry.file = sources_.size();
    if (!tensors_.try_emplace(key, std::move(entry)).second)
      refuse(path, std::string_view(key), "stands in another file too");
  }
  check_extents(path, std::move(extents), data_size);
  sources_.push_back({path, std::move(file)});
  return sources_.size() - 1;
}

void SafetensorsReader::add_indexed_files(const fs::path& index) {
  const auto value = parse_json(read_text(index, kMaxIndex), index);
  const JsonFields fields(value, index);
  const auto* map = fields.find("weight_map");
  if (map == nullptr) fields.refuse("weight_map", "an object");
  std::map<std::string, std::size_t, std::less<>> files;
  for (const auto& [tensor, file] : JsonFields(*map, index).object()) {
    if (!file.is_string() || file.get_string().find('/') != std::string_view::npos)
      refuse(index, tensor, "expected the name of a file in the same folder");
    const std::string name(file.get_string());
    auto found = files.find(name);
    if (found == files.end())
      found = files.emplace(name, add_file(index.parent_path() / name)).first;
    const auto entry = tensors_.find(tensor);
    if (entry == tensors_.end() || entry->second.file != found->second)
      refuse(index, tensor, "is not in " + name);
  }
  const auto& named = map->get_object();
  for (const auto& [tensor, entry] : tensors_) {
    if (!named.contains(tensor)) refuse(sources_[entry.file].path, tensor, "is not in the index");
  }
}

const SafetensorsEntry& SafetensorsReader::entry(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) refuse(path_, name, "is missing");
  return found->second;
}

const fs::path& SafetensorsReader::path_of(std::string_view name) const {
  return sources_[entry(name).file].path;
}

std::vector<std::byte> SafetensorsReader::bytes_of(std::string_view name, std::int64_t begin,
                                                   std::int64_t count) const {
  const auto& tensor = entry(name);
  const auto& source = sources_[tensor.file];
  if (begin < 0 || count < 0 || begin > tensor.count - count)
    refuse(source.path, name,
           fmt::format("has {} elements; wanted are [{}, {})", tensor.count, begin, begin + count));
  const auto width = facts_of(tensor.type).bytes;
  std::vector<std::byte> bytes(static_cast<std::size_t>(count * width));
  read_at(source.file, source.path, tensor.offset + begin * width, bytes);
  return bytes;
}

void SafetensorsReader::read(std::string_view name, std::int64_t begin,
                             std::span<float> out) const {
  const auto type = entry(name).type;
  while (true) {
    const auto count = std::min(static_cast<std::int64_t>(out.size()), kPortion);
    const auto part = out.first(static_cast<std::size_t>(count));
    if (!to_floats(type, bytes_of(name, begin, count), part))
      refuse(path_of(name), name,
             fmt::format("expected floating-point numbers, got {}", facts_of(type).name));
    out = out.subspan(part.size());
    begin += count;
    if (out.empty()) return;
  }
}

std::vector<float> SafetensorsReader::floats(std::string_view name) const {
  std::vector<float> values(static_cast<std::size_t>(entry(name).count));
  read(name, 0, values);
  return values;
}

std::vector<std::int64_t> SafetensorsReader::integers(std::string_view name) const {
  const auto& tensor = entry(name);
  std::vector<std::int64_t> values(static_cast<std::size_t>(tensor.count));
  if (!to_integers(tensor.type, bytes_of(name, 0, tensor.count), values))
    refuse(path_of(name), name,
           fmt::format("expected integers, got {}", facts_of(tensor.type).name));
  return values;
}

}  // namespace fulgur
