#include <fmt/format.h>

#include <boost/json.hpp>
#include <stdexcept>

#include "runtime/checkpoint/safetensors.hpp"

namespace fulgur {
namespace {

constexpr std::size_t kHeaderAlignment = 8;

// The length and the header, padded with spaces so that the values are aligned.
std::string preamble(std::span<const TensorRecord> tensors, std::int64_t& data_bytes) {
  boost::json::object header{{"__metadata__", {{"format", "pt"}}}};
  data_bytes = 0;
  for (const auto& tensor : tensors) {
    const auto bytes = element_count(tensor) * static_cast<std::int64_t>(sizeof(float));
    const boost::json::array shape(tensor.shape.begin(), tensor.shape.end());
    if (!header
             .emplace(tensor.name,
                      boost::json::object{{"dtype", "F32"},
                                          {"shape", shape},
                                          {"data_offsets", {data_bytes, data_bytes + bytes}}})
             .second)
      throw std::invalid_argument("safetensors: tensor `" + tensor.name + "` is given twice");
    data_bytes += bytes;
  }
  auto text = boost::json::serialize(header);
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::span<const TensorRecord> tensors)
    : path_(path), file_(create_file(path)), guard_(path) {
  std::int64_t data_bytes = 0;
  const auto text = preamble(tensors, data_bytes);
  require_space(path_.parent_path(), data_bytes);
  write_at(file_, path_, 0, std::as_bytes(std::span(text)));
  at_ = static_cast<std::int64_t>(text.size());
  end_ = at_ + data_bytes;
}

void SafetensorsWriter::append(std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  if (static_cast<std::int64_t>(bytes.size()) > end_ - at_)
    throw std::invalid_argument(path_.string() + ": more values than the tensors have");
  write_at(file_, path_, at_, bytes);
  at_ += static_cast<std::int64_t>(bytes.size());
}

void SafetensorsWriter::finish() {
  if (at_ != end_)
    throw std::invalid_argument(path_.string() + ": fewer values than the tensors have");
  sync(file_, path_);
  guard_.keep();
}

}  // namespace fulgur
