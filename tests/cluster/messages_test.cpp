#include "cluster/wire/messages.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "cluster/wire/text.hpp"
#include "cluster/wire/wire_error.hpp"

using namespace fulgur;

namespace {

std::string refusal(const std::string& text) {
  try {
    decode(text);
  } catch (const WireError& error) {
    CHECK(error.kind() == WireError::Kind::kMessage);
    return error.what();
  }
  return "accepted";
}

template <class T>
T round_trip(const T& message) {
  return std::get<T>(decode(encode(message)));
}

}  // namespace

TEST_SUITE("cluster/wire/messages") {
  TEST_CASE("a message reads back with every field") {
    Assignment assignment;
    assignment.task = "train";
    assignment.rank = 3;
    assignment.world = 4;
    assignment.attempt = 2;
    assignment.job = R"({"name":"x"})";
    assignment.checkpoint = "/runs/x/checkpoints/step-0000000100";
    const auto back = round_trip(assignment);
    CHECK(back.task == assignment.task);
    CHECK(back.rank == 3);
    CHECK(back.world == 4);
    CHECK(back.attempt == 2);
    CHECK(back.job == assignment.job);
    CHECK(back.checkpoint == assignment.checkpoint);
    CHECK(back.source.empty());
    CHECK(round_trip(Committed{.step = 7, .ok = true}).ok);
    CHECK(std::holds_alternative<Stop>(decode(encode(Stop{}))));
  }

  TEST_CASE("real numbers read back to the last bit") {
    for (const double value :
         {0.1, 1.0 / 3, 5.5451774444795623, 1e-300, -0.0, std::numeric_limits<double>::denorm_min(),
          std::numeric_limits<double>::infinity()}) {
      CAPTURE(value);
      StepDone step;
      step.loss = value;
      const double back = round_trip(step).loss;
      CHECK(back == value);
      CHECK(std::signbit(back) == std::signbit(value));
    }
    StepDone step;
    step.loss = std::nan("");
    CHECK(std::isnan(round_trip(step).loss));
  }

  TEST_CASE("bytes that are no UTF-8 are sent as question marks, the rest as it is") {
    CHECK(round_trip(Print{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"}).text ==
          "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    CHECK(round_trip(Print{"a\xff"
                           "b\xc3"})
              .text == "a?b?");
    CHECK(round_trip(Print{"\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80"}).text == "??|???|????");
    CHECK(round_trip(Print{std::string("a\0b", 3)}).text == std::string("a\0b", 3));
  }

  TEST_CASE("a wrong message is refused by type and field") {
    CHECK(refusal("") != "accepted");
    CHECK(refusal("{") != "accepted");
    CHECK(refusal("[1]") == "control message: is no JSON object");
    CHECK(refusal("{}") == "control message: lacks the field 'type'");
    CHECK(refusal(R"({"type":5})") == "control message: lacks the field 'type'");
    CHECK(refusal(R"({"type":"Reboot"})") == "control message: unknown type 'Reboot'");
    CHECK(refusal(R"({"type":"Committed","step":1})") ==
          "control message: Committed lacks the field 'ok'");
    CHECK(refusal(R"({"type":"Committed","step":"1","ok":true})") ==
          "control message: Committed: the field 'step' has the wrong type");
    CHECK(refusal(R"({"type":"Committed","step":1.5,"ok":true})") ==
          "control message: Committed: the field 'step' has the wrong type");
    CHECK(refusal(R"({"type":"Committed","step":1,"ok":true,"x":1})") ==
          "control message: Committed has unknown fields");
    CHECK(refusal(R"({"type":"Stop","x":{"y":{"z":[]}}})") != "accepted");
  }

  TEST_CASE("hex digits stand for every byte, and nothing else is taken for them") {
    std::string all;
    for (int byte = 0; byte < 256; ++byte)
      all += static_cast<char>(byte);
    CHECK(to_hex("\x01\xab") == "01ab");
    CHECK(from_hex(to_hex(all)) == all);
    CHECK_THROWS_AS(from_hex("abc"), WireError);
    CHECK_THROWS_AS(from_hex("zz"), WireError);
  }
}
