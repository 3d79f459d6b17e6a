#include "runtime/data/text_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/runtime/data/data_fixture.hpp"

namespace fulgur {
namespace {

using Documents = std::vector<std::string_view>;

TEST_SUITE("runtime/data/text_file") {
  TEST_CASE("a file is read byte by byte, with zero bytes and bytes that are no UTF-8") {
    const test::TemporaryDirectory directory;
    const std::string text("a\0b\r\n\xFF\xFE%\n", 9);
    CHECK(read_text_file(test::write_file(directory, "bytes", text)) == text);
  }

  TEST_CASE("what is no readable regular file is refused, with its path first") {
    const test::TemporaryDirectory directory;
    const std::string at = directory.path().string();
    CHECK(test::data_error([&] { read_text_file(at + "/none"); }) ==
          at + "/none: cannot read the data file: No such file or directory");
    CHECK(test::data_error([&] { read_text_file(at); }) ==
          at + ": expected a data file, got a directory");
    const std::string empty = test::write_file(directory, "empty", "");
    CHECK(test::data_error([&] { read_text_file(empty); }) == empty + ": the data file is empty");
    const std::string pipe = at + "/pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(test::data_error([&] { read_text_file(pipe); }) ==
          pipe + ": expected a data file, got a device or pipe");
    const std::string loop = at + "/loop";
    std::filesystem::create_symlink(loop, loop);
    CHECK(test::data_error([&] { read_text_file(loop); }) ==
          loop + ": cannot read the data file: Too many levels of symbolic links");
  }

  TEST_CASE("a separator line ends a document, and its last line end belongs to no document") {
    CHECK(split_documents("one\ntwo\n%\nthree\n%\n", "%") == Documents{"one\ntwo", "three"});
    CHECK(split_documents("one\n\n%\nthree", "%") == Documents{"one\n", "three"});
    CHECK(split_documents("one\n%", "%") == Documents{"one"});
  }

  TEST_CASE("empty documents are left out") {
    CHECK(split_documents("%\n%\n\n%\na\n%\n%\n", "%") == Documents{"a"});
    CHECK(split_documents("%\n", "%").empty());
    CHECK(split_documents("\n", "").empty());
    CHECK(split_documents("", "%").empty());
  }

  TEST_CASE("only a whole line is a separator") {
    CHECK(split_documents("100%\n% of it\n%%\n%\nb\n", "%") == Documents{"100%\n% of it\n%%", "b"});
    CHECK(split_documents("a\n<|end|>\nb\n", "<|end|>") == Documents{"a", "b"});
  }

  TEST_CASE("a line may end in CR LF") {
    CHECK(split_documents("a\r\n%\r\nb\r\nc\r\n", "%") == Documents{"a", "b\r\nc"});
  }

  TEST_CASE("without a separator the file is one document") {
    CHECK(split_documents("a\n%\nb\n\n", "") == Documents{"a\n%\nb\n"});
  }
}

}  // namespace
}  // namespace fulgur
