#include "runtime/checkpoint/safetensors.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <random>

#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using test::refusal;
using Kind = CheckpointError::Kind;

std::string file_text(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

template <typename T>
std::string bytes_of(std::initializer_list<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), std::data(values), bytes.size());
  return bytes;
}

class File {
 public:
  File(const std::string& header, const std::string& data) {
    test::write_file(path(), file_text(header, data));
  }
  fs::path path() const { return directory_.path() / "model.safetensors"; }
  SafetensorsReader open() const { return SafetensorsReader(path()); }
  test::Refusal refused() const {
    return refusal([&] { open(); });
  }

 private:
  test::TemporaryDirectory directory_;
};

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" + offsets +
         "]}";
}

}  // namespace

TEST_SUITE("runtime/checkpoint/safetensors") {
  TEST_CASE("what the writer writes, the reader reads") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "x.safetensors";
    const std::vector<TensorRecord> tensors = {{"a", {2, 3}}, {"b.weight", {4}}, {"c", {1, 1}}};
    SafetensorsWriter writer(path, tensors);
    writer.append(std::vector<float>{1, 2, 3, 4});
    writer.append(std::vector<float>{5, 6, 7, 8, 9, 10, 11});
    writer.finish();
    const SafetensorsReader reader(path);
    CHECK(reader.tensors().size() == 3);
    CHECK(reader.entry("a").shape == std::vector<std::int64_t>{2, 3});
    CHECK(reader.floats("a") == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(reader.floats("b.weight") == std::vector<float>{7, 8, 9, 10});
    std::vector<float> part(2);
    reader.read("a", 3, part);
    CHECK(part == std::vector<float>{4, 5});
    CHECK(reader.entry("a").offset % 8 == 0);
  }

  TEST_CASE("a writer that gets too many or too few values leaves no file") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "x.safetensors";
    const std::vector<TensorRecord> tensors = {{"a", {2}}};
    const auto write = [&](const std::vector<float>& values) {
      SafetensorsWriter writer(path, tensors);
      writer.append(values);
      writer.finish();
    };
    CHECK_THROWS_AS(write({1, 2, 3}), std::invalid_argument);
    CHECK_THROWS_AS(write({1}), std::invalid_argument);
    CHECK(!fs::exists(path));
  }

  TEST_CASE("float64, float16 and bfloat16 are read as float32") {
    const float infinity = std::numeric_limits<float>::infinity();
    const File f64("{\"x\":" + entry("F64", "2", "0,16") + "}", bytes_of<double>({0.1, -3}));
    CHECK(f64.open().floats("x") == std::vector<float>{0.1F, -3});
    const File f16(
        "{\"x\":" + entry("F16", "8", "0,16") + "}",
        bytes_of<std::uint16_t>({0x3C00, 0xC000, 0x0001, 0x03FF, 0x0400, 0x7BFF, 0x8000, 0xFC00}));
    CHECK(f16.open().floats("x") ==
          std::vector<float>{1, -2, 0x1p-24F, 0x1.FF8p-15F, 0x1p-14F, 65504, -0.0F, -infinity});
    const File bf16("{\"x\":" + entry("BF16", "3", "0,6") + "}",
                    bytes_of<std::uint16_t>({0x3F80, 0xC040, 0x7F80}));
    CHECK(bf16.open().floats("x") == std::vector<float>{1, -3, infinity});
  }

  TEST_CASE("integers are read as integers, and refused as floats") {
    const File file(
        "{\"x\":" + entry("I64", "2", "0,16") + ",\"y\":" + entry("U8", "1", "16,17") + "}",
        bytes_of<std::int64_t>({-5, std::int64_t{1} << 40}) + "\xFF");
    const auto reader = file.open();
    CHECK(reader.integers("x") == std::vector<std::int64_t>{-5, std::int64_t{1} << 40});
    CHECK(reader.integers("y") == std::vector<std::int64_t>{255});
    CHECK(refusal([&] { reader.floats("x"); }).says("tensor `x`: expected floating-point numbers"));
  }

  TEST_CASE("wrong places are refused with the tensor") {
    const std::string data(16, 'x');
    const auto one = [&](const std::string& shape, const std::string& offsets) {
      return File("{\"x\":" + entry("F32", shape, offsets) + "}", data).refused();
    };
    CHECK(one("5", "0,20").says("tensor `x`: its values end at byte 20"));
    CHECK(one("3", "0,16").says("do not hold 3 elements"));
    CHECK(one("4", "16,0").says("do not hold 4 elements"));
    CHECK(one("3", "0,12").says("4 bytes at the end belong to no tensor"));
    CHECK(one("3", "4,16").says("4 bytes before it belong to no tensor"));
    CHECK(one("4294967296,4294967296,4", "0,16").says("impossible shape"));
    CHECK(one("-1", "0,16").says("not negative"));
    const File overlap(
        "{\"x\":" + entry("F32", "3", "0,12") + ",\"y\":" + entry("F32", "2", "8,16") + "}", data);
    CHECK(overlap.refused().says("tensor `y`: its values overlap"));
    const File type("{\"x\":" + entry("F8_E4M3", "16", "0,16") + "}", data);
    CHECK(type.refused().says("tensor `x`: dtype F8_E4M3 is not supported"));
  }

  TEST_CASE("a file that is no safetensors file is refused") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "x";
    const auto refused = [&](const std::string& text) {
      test::write_file(path, text);
      return refusal([&] { SafetensorsReader{path}; });
    };
    CHECK(refused("").says("too short"));
    CHECK(refused("short").says("too short"));
    CHECK(refused(std::string(64, '\xFF')).says("not a safetensors file"));
    CHECK(refused(file_text("{}", "").substr(0, 9)).says("not a safetensors file"));
    CHECK(refused(file_text("not json", "")).says("not JSON"));
    CHECK(refused(file_text(std::string(5000, '['), "")).says("not JSON"));
    CHECK(refusal([&] { SafetensorsReader{directory.path() / "none"}; }).kind == Kind::kInvalid);
  }

  TEST_CASE("an index that does not agree with its files is refused") {
    const test::TemporaryDirectory directory;
    const auto write = [&](const char* file, const char* tensor) {
      const std::vector<TensorRecord> tensors = {{tensor, {1}}};
      fs::remove(directory.path() / file);
      SafetensorsWriter writer(directory.path() / file, tensors);
      writer.append(std::vector<float>{3});
      writer.finish();
    };
    const auto index = [&](const std::string& map) {
      test::write_file(directory.path() / "model.safetensors.index.json",
                       "{\"metadata\":{},\"weight_map\":{" + map + "}}");
    };
    const auto open = [&] { SafetensorsReader{directory.path()}; };
    write("one.safetensors", "a");
    write("two.safetensors", "b");
    index(R"("a":"one.safetensors","b":"two.safetensors")");
    CHECK(SafetensorsReader(directory.path()).floats("b") == std::vector<float>{3});
    index(R"("a":"one.safetensors","b":"one.safetensors")");
    CHECK(refusal(open).says("tensor `b`: is not in one.safetensors"));
    index(R"("a":"one.safetensors","c":"../x")");
    CHECK(refusal(open).says("tensor `c`: expected the name of a file in the same folder"));
    index(R"("a":"three.safetensors")");
    CHECK(refusal(open).says("three.safetensors: the file is missing"));
    write("two.safetensors", "a");
    index(R"("a":"one.safetensors","b":"two.safetensors")");
    CHECK(refusal(open).says("tensor `a`: stands in another file too"));
  }

  TEST_CASE("a damaged header never makes the reader leave its file") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "x";
    const std::string sound = file_text(
        "{\"a\":" + entry("F32", "2,3", "0,24") + ",\"bb\":" + entry("BF16", "4", "24,32") + "}",
        std::string(32, 'd'));
    std::mt19937 random(3);
    int refused = 0;
    for (int i = 0; i < 3000; ++i) {
      auto text = sound;
      for (unsigned n = 0; n <= random() % 3; ++n)
        text[random() % (text.size() - 32)] = static_cast<char>(random());
      if (random() % 4 == 0) text.resize(random() % text.size());
      test::write_file(path, text);
      try {
        const SafetensorsReader reader(path);
        for (const auto& [name, tensor] : reader.tensors())
          REQUIRE(static_cast<std::int64_t>(reader.floats(name).size()) == tensor.count);
      } catch (const CheckpointError& error) {
        REQUIRE(error.kind() == Kind::kInvalid);
        ++refused;
      }
    }
    CHECK(refused > 2000);
  }
}

}  // namespace fulgur
