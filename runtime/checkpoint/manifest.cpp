#include "runtime/checkpoint/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "runtime/checkpoint/json_fields.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t kMaxDims = 32;  // what HDF5 can hold
constexpr std::size_t kMaxName = 1024;

json::array list_to_json(const std::vector<std::int64_t>& values) {
  return json::array(values.begin(), values.end());
}

json::object file_to_json(const ShardRecord& shard) {
  return {{"file", shard.file}, {"bytes", shard.bytes}, {"xxh128", shard.xxh128}};
}

json::object shard_to_json(const ShardRecord& shard) {
  json::array pieces;
  pieces.reserve(shard.pieces.size());
  for (const auto& piece : shard.pieces) {
    pieces.push_back({{"tensor", piece.tensor},
                      {"start", list_to_json(piece.box.start)},
                      {"count", list_to_json(piece.box.count)},
                      {"dataset", piece.dataset},
                      {"offset", piece.offset},
                      {"xxh128", piece.xxh128}});
  }
  auto object = file_to_json(shard);
  object["pieces"] = std::move(pieces);
  return object;
}

json::array tensors_to_json(const Manifest& manifest) {
  json::array tensors;
  tensors.reserve(manifest.tensors.size());
  for (const auto& tensor : manifest.tensors) {
    tensors.push_back({{"name", tensor.name}, {"shape", list_to_json(tensor.shape)}});
  }
  return tensors;
}

ShardRecord file_from_json(const JsonFields& fields) {
  return {.file = fields.text("file"),
          .bytes = fields.integer("bytes"),
          .xxh128 = fields.text("xxh128"),
          .pieces = {}};
}

ShardRecord shard_from_json(const json::value& value, const fs::path& path) {
  const JsonFields fields(value, path);
  auto shard = file_from_json(fields);
  for (const auto& entry : fields.array("pieces")) {
    const JsonFields piece(entry, path);
    shard.pieces.push_back({.tensor = piece.text("tensor"),
                            .box = {piece.integers("start"), piece.integers("count")},
                            .dataset = piece.text("dataset"),
                            .offset = piece.integer("offset"),
                            .xxh128 = piece.text("xxh128")});
  }
  return shard;
}

TensorRecord tensor_from_json(const json::value& value, const fs::path& path) {
  const JsonFields fields(value, path);
  return {.name = fields.text("name"), .shape = fields.integers("shape")};
}

// A name that is one link of an HDF5 path: no way out of its group.
bool is_plain(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

bool is_tensor_name(std::string_view name) {
  const auto slash = name.find('/');
  return slash != std::string_view::npos && is_plain(name.substr(0, slash)) &&
         is_plain(name.substr(slash + 1));
}

bool is_shard_name(std::string_view name) {
  constexpr std::string_view kPrefix = "shard-", kSuffix = ".h5";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return false;
  const auto digits = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  return digits.size() >= 5 && digits.size() <= 10 &&
         digits.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_hash(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void check_tensor(const TensorRecord& tensor, const fs::path& path) {
  if (!is_tensor_name(tensor.name))
    fail_invalid(path,
                 fmt::format("tensor `{}`: expected a name of the form kind/name", tensor.name));
  if (tensor.shape.empty() || tensor.shape.size() > kMaxDims ||
      count_elements(tensor.shape).value_or(0) == 0)
    fail_invalid(path, fmt::format("tensor `{}`: impossible shape [{}]", tensor.name,
                                   fmt::join(tensor.shape, ", ")));
}

using Tensors = std::map<std::string_view, const TensorRecord*>;

void check_piece(const PieceRecord& piece, const ShardRecord& shard, const Tensors& tensors,
                 const fs::path& path) {
  const auto where = fmt::format("{}: tensor `{}`", shard.file, piece.tensor);
  const auto found = tensors.find(piece.tensor);
  if (found == tensors.end()) fail_invalid(path, where + ": is not one of the tensors");
  if (!is_inside(piece.box, found->second->shape))
    fail_invalid(path,
                 fmt::format("{}: expected a box inside the shape [{}], got start [{}] and "
                             "count [{}]",
                             where, fmt::join(found->second->shape, ", "),
                             fmt::join(piece.box.start, ", "), fmt::join(piece.box.count, ", ")));
  if (!is_plain(piece.dataset)) fail_invalid(path, where + ": the dataset has no plain name");
  if (piece.offset < 0 || piece.offset > shard.bytes)
    fail_invalid(path, fmt::format("{}: offset {} is outside the file", where, piece.offset));
  if (!is_hash(piece.xxh128)) fail_invalid(path, where + ": the hash has not 32 hex digits");
}

json::object data_to_json(const DataCursor& data) {
  json::array sources;
  for (const auto& source : data.sources)
    sources.push_back({{"name", source.name},
                       {"fingerprint", source.fingerprint},
                       {"tokens", source.tokens},
                       {"at_anchor", source.at_anchor}});
  return {{"anchor", data.anchor}, {"sources", std::move(sources)}};
}

DataCursor data_from_json(const json::value& value, const fs::path& path) {
  const JsonFields fields(value, path);
  DataCursor data{.anchor = fields.integer("anchor"), .sources = {}};
  for (const auto& each : fields.array("sources")) {
    const JsonFields source(each, path);
    data.sources.push_back({.name = source.text("name"),
                            .fingerprint = source.text("fingerprint"),
                            .tokens = source.integer("tokens"),
                            .at_anchor = source.integer("at_anchor")});
  }
  return data;
}

void check_data(const Manifest& manifest, const fs::path& path) {
  const auto& data = manifest.data;
  if (data.anchor < 0 || data.anchor > manifest.tokens)
    fail_invalid(path, "`data`: the anchor is not among the tokens seen");
  std::set<std::string_view> names;
  for (const auto& source : data.sources) {
    if (source.at_anchor < 0 || source.tokens < source.at_anchor)
      fail_invalid(path, fmt::format("source `{}`: impossible counts of tokens", source.name));
    if (!names.insert(source.name).second)
      fail_invalid(path, fmt::format("source `{}` is listed twice", source.name));
  }
}

}  // namespace

std::string to_json(const Manifest& manifest) {
  json::array shards;
  for (const auto& shard : manifest.shards)
    shards.push_back(shard_to_json(shard));
  json::object object{{"format", manifest.format},
                      {"step", manifest.step},
                      {"created", manifest.created},
                      {"tokens", manifest.tokens},
                      {"data", data_to_json(manifest.data)},
                      {"identity_hash", manifest.identity_hash},
                      {"job", manifest.job},
                      {"index", file_to_json(manifest.index)},
                      {"tensors", tensors_to_json(manifest)},
                      {"shards", std::move(shards)}};
  return json::serialize(object);
}

Manifest manifest_from_json(const std::string& text, const fs::path& path) {
  const auto value = parse_json(text, path);
  const JsonFields fields(value, path);
  Manifest manifest;
  const auto format = fields.integer("format");
  if (format != kCheckpointFormat)
    fail_invalid(path,
                 fmt::format("checkpoint format {} is {}: this program reads format {}", format,
                             format > kCheckpointFormat ? "newer" : "unknown", kCheckpointFormat));
  manifest.step = fields.integer("step");
  manifest.created = fields.text("created");
  manifest.tokens = fields.integer("tokens");
  const auto* data = fields.find("data");
  if (data == nullptr) fields.refuse("data", "an object");
  manifest.data = data_from_json(*data, path);
  manifest.identity_hash = fields.text("identity_hash");
  manifest.job = fields.text("job");
  for (const auto& tensor : fields.array("tensors"))
    manifest.tensors.push_back(tensor_from_json(tensor, path));
  for (const auto& shard : fields.array("shards"))
    manifest.shards.push_back(shard_from_json(shard, path));
  const auto* index = fields.find("index");
  if (index == nullptr) fields.refuse("index", "an object");
  manifest.index = file_from_json(JsonFields(*index, path));
  return manifest;
}

void check_manifest(const Manifest& manifest, const fs::path& path) {
  if (manifest.step < 0 || manifest.tokens < 0)
    fail_invalid(path, "`step` and `tokens` cannot be negative");
  check_data(manifest, path);
  Tensors tensors;
  for (const auto& tensor : manifest.tensors) {
    check_tensor(tensor, path);
    if (!tensors.emplace(tensor.name, &tensor).second)
      fail_invalid(path, fmt::format("tensor `{}` is listed twice", tensor.name));
  }
  std::set<std::string_view> files;
  for (const auto& shard : manifest.shards) {
    if (!is_shard_name(shard.file))
      fail_invalid(path, fmt::format("`{}` is no name of a shard", shard.file));
    if (!files.insert(shard.file).second)
      fail_invalid(path, fmt::format("{} is listed twice", shard.file));
    if (shard.bytes < 0 || !is_hash(shard.xxh128))
      fail_invalid(path, shard.file + ": impossible size or hash");
    for (const auto& piece : shard.pieces)
      check_piece(piece, shard, tensors, path);
  }
}

std::int64_t element_count(const TensorRecord& tensor) {
  return whole_box(tensor.shape).elements();
}

}  // namespace fulgur
