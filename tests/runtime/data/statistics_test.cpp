#include "runtime/data/statistics.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/runtime/data/data_fixture.hpp"

namespace fulgur {
namespace {

TEST_SUITE("runtime/data/statistics") {
  TEST_CASE("the unigram entropy counts labels: no first token, one eos per document") {
    // Labels: b, b, eos of "abb"; eos of "a".
    const Corpus corpus = test::make_corpus({"abb", "a"}, *make_tokenizer("bytes"));
    CHECK(unigram_entropy(corpus) == doctest::Approx(std::log(2.0)).epsilon(1e-12));
  }

  TEST_CASE("the unigram entropy of unequal frequencies is the sum of -p log p") {
    // Labels without eos: b, c, c, c.
    const Corpus corpus = test::make_corpus({"abccc", "z"}, test::LetterTokenizer());
    const double expected = -0.25 * std::log(0.25) - 0.75 * std::log(0.75);
    CHECK(unigram_entropy(corpus) == doctest::Approx(expected).epsilon(1e-12));
  }

  TEST_CASE("the unigram entropy of a corpus without labels is 0") {
    CHECK(unigram_entropy(test::make_corpus({"a", "b"}, test::LetterTokenizer())) == 0);
  }
}

}  // namespace
}  // namespace fulgur
