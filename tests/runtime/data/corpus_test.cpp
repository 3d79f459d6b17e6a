#include "runtime/data/corpus.hpp"

#include <doctest/doctest.h>

#include "tests/runtime/data/data_fixture.hpp"

namespace fulgur {
namespace {

using Tokens = std::vector<std::int32_t>;

TEST_SUITE("runtime/data/corpus") {
  TEST_CASE("documents come in file order, whole and without eos") {
    const test::TemporaryDirectory directory;
    const auto tokenizer = make_tokenizer("bytes");
    const Corpus corpus({.files = {test::write_file(directory, "1", "ab\n%\nc\n%\n"),
                                   test::write_file(directory, "0", "d\ne")},
                         .document_separator = "%"},
                        *tokenizer);
    REQUIRE(corpus.num_documents() == 3);
    CHECK(corpus.num_tokens() == 6);
    CHECK(test::tokens_of(corpus, 0) == Tokens{'a', 'b'});
    CHECK(test::tokens_of(corpus, 1) == Tokens{'c'});
    CHECK(test::tokens_of(corpus, 2) == Tokens{'d', '\n', 'e'});
    CHECK(corpus.eos() == tokenizer->eos());
    CHECK_THROWS_AS(corpus.document(-1), std::invalid_argument);
    CHECK_THROWS_AS(corpus.document(3), std::invalid_argument);
  }

  TEST_CASE("a document without tokens is left out") {
    const Corpus corpus = test::make_corpus({"ab", "123", "c"}, test::LetterTokenizer());
    REQUIRE(corpus.num_documents() == 2);
    CHECK(test::tokens_of(corpus, 1) == Tokens{2});
  }

  TEST_CASE("files without a document, no files and a separator of two lines are refused") {
    const test::TemporaryDirectory directory;
    const auto tokenizer = make_tokenizer("bytes");
    const std::string good = test::write_file(directory, "good", "text");
    const std::string bare = test::write_file(directory, "bare", "%\n\n%\n");
    CHECK(test::data_error([&] {
            Corpus({.files = {good, bare}, .document_separator = "%"}, *tokenizer);
          }) == bare + ": the data file holds no document");
    CHECK(test::data_error([&] { Corpus({.name = "web"}, *tokenizer); }) ==
          "web: expected at least one file, got none");
    CHECK_THROWS_AS(Corpus({.files = {good}, .document_separator = "%\n"}, *tokenizer),
                    std::invalid_argument);
  }

  TEST_CASE("the fingerprint tells tokens and document bounds apart, and nothing else") {
    const auto tokenizer = make_tokenizer("bytes");
    const auto fingerprint = [&](const std::vector<std::string>& documents) {
      return test::make_corpus(documents, *tokenizer).fingerprint();
    };
    CHECK(fingerprint({"ab", "c"}) == fingerprint({"ab", "c"}));
    CHECK(fingerprint({"ab", "c"}) != fingerprint({"a", "bc"}));
    CHECK(fingerprint({"ab", "c"}) != fingerprint({"ab", "d"}));
    CHECK(fingerprint({"ab", "c"}) != fingerprint({"c", "ab"}));
    CHECK(fingerprint({"ab", "c"}) != fingerprint({"abc"}));
  }
}

}  // namespace
}  // namespace fulgur
