#include "runtime/data/sampler.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/runtime/data/data_fixture.hpp"

namespace fulgur {
namespace {

constexpr std::int32_t kEos = 256;

// Documents of 1 to `longest` letters, the same at every call.
std::vector<std::string> random_documents(int count, int longest) {
  std::mt19937 engine(7);
  std::vector<std::string> documents;
  for (int i = 0; i < count; ++i) {
    std::string document;
    const auto length = 1 + engine() % static_cast<unsigned>(longest);
    while (document.size() < length)
      document += static_cast<char>('a' + engine() % 26);
    documents.push_back(document);
  }
  return documents;
}

// The first samples end to end, until they hold `tokens` tokens or more.
struct Line {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> labels;
};
Line read_line(Sampler& sampler, std::int64_t length, std::int64_t tokens) {
  Line line;
  for (std::int64_t i = 0; static_cast<std::int64_t>(line.ids.size()) < tokens; ++i) {
    const Sample sample = sampler.sample(i * length, length);
    line.ids.insert(line.ids.end(), sample.ids.begin(), sample.ids.end());
    line.labels.insert(line.labels.end(), sample.labels.begin(), sample.labels.end());
  }
  return line;
}

// Cuts a pass of the line back into documents: a document ends where the label is `last`.
std::vector<std::vector<std::int32_t>> documents_of(const Line& line, std::int64_t begin,
                                                    std::int64_t end, std::int32_t last) {
  std::vector<std::vector<std::int32_t>> documents(1);
  for (auto t = static_cast<std::size_t>(begin); t < static_cast<std::size_t>(end); ++t) {
    documents.back().push_back(line.ids[t]);
    if (line.labels[t] == last) {
      documents.emplace_back();
    } else {
      CHECK(line.labels[t] == line.ids[t + 1]);
    }
  }
  CHECK(documents.back().empty());
  documents.pop_back();
  return documents;
}

std::vector<std::vector<std::int32_t>> documents_of(const Corpus& corpus) {
  std::vector<std::vector<std::int32_t>> documents;
  for (std::int64_t i = 0; i < corpus.num_documents(); ++i) {
    documents.push_back(test::tokens_of(corpus, i));
  }
  return documents;
}

void check_passes(const Corpus& corpus, std::int64_t sequence_length, std::int32_t last) {
  CAPTURE(sequence_length);
  constexpr std::int64_t kPasses = 3;
  Sampler sampler(corpus, 11);
  const Line line = read_line(sampler, sequence_length, kPasses * corpus.num_tokens() + 1);
  auto expected = documents_of(corpus);
  std::sort(expected.begin(), expected.end());
  std::vector<std::vector<std::vector<std::int32_t>>> orders;
  for (std::int64_t pass = 0; pass < kPasses; ++pass) {
    const std::int64_t begin = pass * corpus.num_tokens();
    orders.push_back(documents_of(line, begin, begin + corpus.num_tokens(), last));
    auto found = orders.back();
    std::sort(found.begin(), found.end());
    CHECK(found == expected);
  }
  CHECK(orders[0] != orders[1]);
  CHECK(orders[1] != orders[2]);
}

TEST_SUITE("runtime/data/sampler") {
  TEST_CASE("each pass holds every document exactly once, each time in another order") {
    const Corpus corpus = test::make_corpus(random_documents(40, 12), *make_tokenizer("bytes"));
    const Corpus letters = test::make_corpus(random_documents(40, 12), test::LetterTokenizer());
    // Shorter than a document, odd, prime, longer than a pass, longer than two passes.
    for (const std::int64_t length : {1, 2, 7, 64, 509, 1000}) {
      check_passes(corpus, length, kEos);
      check_passes(letters, length, -1);
    }
  }

  TEST_CASE(
      "a sample has N ids, N labels, and starts at every document and at the sequence's cut") {
    const Corpus corpus = test::make_corpus(random_documents(30, 20), *make_tokenizer("bytes"));
    for (const std::int64_t length : {1, 5, 16, 333}) {
      CAPTURE(length);
      Sampler sampler(corpus, 3);
      const auto size = static_cast<std::size_t>(length);
      for (std::int64_t i = 0; i < 50; ++i) {
        const Sample sample = sampler.sample(i * length, length);
        REQUIRE(sample.ids.size() == size);
        REQUIRE(sample.labels.size() == size);
        std::vector<std::int32_t> expected{0};
        for (std::size_t t = 0; t + 1 < size; ++t) {
          if (sample.labels[t] == kEos) expected.push_back(static_cast<std::int32_t>(t + 1));
        }
        expected.push_back(static_cast<std::int32_t>(length));
        CHECK(sample.starts == expected);
      }
    }
  }

  TEST_CASE("a document that is cut goes on in the next sequence, with its label across the cut") {
    const Corpus corpus = test::make_corpus({"abcde"}, *make_tokenizer("bytes"));
    Sampler sampler(corpus, 0);
    const Sample first = sampler.sample(0, 3);
    CHECK(first.ids == std::vector<std::int32_t>{'a', 'b', 'c'});
    CHECK(first.labels == std::vector<std::int32_t>{'b', 'c', 'd'});
    CHECK(first.starts == std::vector<std::int32_t>{0, 3});
    const Sample second = sampler.sample(3, 3);
    CHECK(second.ids == std::vector<std::int32_t>{'d', 'e', 'a'});
    CHECK(second.labels == std::vector<std::int32_t>{'e', kEos, 'b'});
    CHECK(second.starts == std::vector<std::int32_t>{0, 2, 3});
  }

  TEST_CASE("a document of one token has the label eos, or none without eos") {
    const Corpus bytes = test::make_corpus({"a"}, *make_tokenizer("bytes"));
    CHECK(Sampler(bytes, 0).sample(0, 2).labels == std::vector<std::int32_t>{kEos, kEos});
    const Corpus letters = test::make_corpus({"a"}, test::LetterTokenizer());
    CHECK(Sampler(letters, 0).sample(0, 2).labels == std::vector<std::int32_t>{-1, -1});
  }

  TEST_CASE("samples do not depend on the order in which they are asked for, nor on a new start") {
    const Corpus corpus = test::make_corpus(random_documents(20, 9), *make_tokenizer("bytes"));
    Sampler forward(corpus, 5);
    std::vector<Sample> expected;
    for (std::int64_t i = 0; i < 60; ++i)
      expected.push_back(forward.sample(17 * i, 17));

    Sampler backward(corpus, 5);
    for (std::int64_t i = 59; i >= 0; --i) {
      CAPTURE(i);
      CHECK(backward.sample(17 * i, 17) == expected[static_cast<std::size_t>(i)]);
    }
    Sampler jumping(corpus, 5);
    for (std::int64_t i = 0; i < 60; ++i) {
      const std::int64_t index = i * 37 % 60;
      CAPTURE(index);
      CHECK(jumping.sample(17 * index, 17) == expected[static_cast<std::size_t>(index)]);
    }
    Sampler resumed(corpus, 5);
    CHECK(resumed.sample(17 * 41, 17) == expected[41]);
    CHECK(resumed.sample(17 * 42, 17) == expected[42]);
  }

  TEST_CASE("another seed gives another order") {
    const Corpus corpus = test::make_corpus(random_documents(20, 9), *make_tokenizer("bytes"));
    const std::int64_t all = corpus.num_tokens();
    CHECK(Sampler(corpus, 1).sample(0, all).ids != Sampler(corpus, 2).sample(0, all).ids);
  }

  TEST_CASE("another name gives another order, and a plain list of files is called data") {
    const Corpus corpus = test::make_corpus(random_documents(20, 9), *make_tokenizer("bytes"));
    const std::int64_t all = corpus.num_tokens();
    const auto plain = Sampler(corpus, 1).sample(0, all);
    CHECK(Sampler(corpus, 1, "data").sample(0, all) == plain);
    CHECK(Sampler(corpus, 1, "more").sample(0, all) != plain);
  }

  TEST_CASE("pieces of any lengths, end to end, are the same line") {
    const Corpus corpus = test::make_corpus(random_documents(20, 9), *make_tokenizer("bytes"));
    Sampler sampler(corpus, 4);
    const auto whole = sampler.sample(0, 500);
    std::vector<std::int32_t> ids, labels;
    for (std::int64_t length = 1; ids.size() < 500; ++length) {
      const auto piece = sampler.sample(static_cast<std::int64_t>(ids.size()), length);
      ids.insert(ids.end(), piece.ids.begin(), piece.ids.end());
      labels.insert(labels.end(), piece.labels.begin(), piece.labels.end());
    }
    ids.resize(500);
    labels.resize(500);
    CHECK(ids == whole.ids);
    CHECK(labels == whole.labels);
  }

  TEST_CASE("every order of three documents is drawn equally often") {
    const Corpus corpus = test::make_corpus({"a", "b", "c"}, *make_tokenizer("bytes"));
    Sampler sampler(corpus, 99);
    constexpr int kPasses = 6000;
    std::map<std::vector<std::int32_t>, int> counts;
    for (std::int64_t i = 0; i < kPasses; ++i)
      ++counts[sampler.sample(3 * i, 3).ids];
    CHECK(counts.size() == 6);
    double chi_square = 0;
    for (const auto& [order, count] : counts) {
      chi_square += (count - kPasses / 6.0) * (count - kPasses / 6.0) / (kPasses / 6.0);
    }
    CHECK(chi_square < 20.5);  // 5 degrees of freedom: exceeded by chance once in a thousand
  }

  TEST_CASE("labelled_tokens equals a count by hand, over cuts and passes") {
    const Corpus bytes = test::make_corpus(random_documents(15, 9), *make_tokenizer("bytes"));
    const Corpus letters = test::make_corpus(random_documents(15, 9), test::LetterTokenizer());
    for (const Corpus* corpus : {&bytes, &letters}) {
      for (const std::int64_t length : {1, 6, 13, 200}) {
        CAPTURE(length);
        Sampler sampler(*corpus, 8);
        for (const std::int64_t first : {0, 1, 10, 31}) {
          std::int64_t expected = 0;
          for (std::int64_t count = 0; count < 20; ++count) {
            CHECK(sampler.labelled_tokens(first * length, (first + count) * length) == expected);
            const Sample next = sampler.sample((first + count) * length, length);
            expected += std::count_if(next.labels.begin(), next.labels.end(),
                                      [](std::int32_t label) { return label >= 0; });
          }
        }
      }
    }
  }

  TEST_CASE("a wrong length, a negative position and positions past 2^63 are refused") {
    const Corpus corpus = test::make_corpus({"abc"}, test::LetterTokenizer());
    Sampler sampler(corpus, 0);
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    CHECK_THROWS_AS(sampler.sample(0, 0), std::invalid_argument);
    CHECK_THROWS_AS(sampler.sample(0, std::int64_t{1} << 31), std::invalid_argument);
    CHECK_THROWS_AS(sampler.sample(-1, 4), std::invalid_argument);
    CHECK_THROWS_AS(sampler.sample(kMax - 3, 4), std::invalid_argument);
    CHECK(sampler.sample(kMax - 4, 4).ids.size() == 4);
    CHECK_THROWS_AS(sampler.labelled_tokens(-1, 2), std::invalid_argument);
    CHECK_THROWS_AS(sampler.labelled_tokens(2, 1), std::invalid_argument);
  }
}

}  // namespace
}  // namespace fulgur
