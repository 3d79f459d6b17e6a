#include "runtime/data/mixture.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <string>

#include "recipes/phases.hpp"
#include "tests/runtime/data/data_fixture.hpp"

namespace fulgur {
namespace {

constexpr std::int64_t kLength = 16, kBatch = 6, kStep = kLength * kBatch;

// Two texts of numbered tokens: letters from the front of the alphabet, and from its end.
struct Texts {
  Texts() {
    job.data.sources = {.name = {"front", "back"},
                        .files = {{write("front", 'a')}, {write("back", 'n')}},
                        .weight = {1, 2}};
    job.data.document_separator = "%";
    job.train = {.sequence_length = kLength, .batch = kBatch, .micro_batch = kBatch, .seed = 5};
  }

  std::string write(const std::string& name, char first) const {
    std::string text;
    for (int i = 0; i < 900; ++i) {
      text += static_cast<char>(first + i * 7 % 13);
      if (i % 11 == 10) text += "\n%\n";
    }
    return test::write_file(directory, name, text);
  }

  test::TemporaryDirectory directory;
  Job job;
  test::LetterTokenizer tokenizer;
};

// The tokens of both sources, each end to end, in the steps that begin in [from, until).
struct Lines {
  std::map<std::string, std::vector<std::int32_t>> ids;
  std::int64_t labelled = 0;
};
void read(Mixture& mixture, std::int64_t from, std::int64_t until, Lines& lines) {
  for (auto tokens = from; tokens < until; tokens += kStep) {
    std::int64_t labelled = 0;
    for (std::int64_t i = 0; i < kBatch; ++i) {
      const auto sample = mixture.sample(tokens, i, kLength);
      auto& line = lines.ids[sample.ids.front() < 13 ? "front" : "back"];
      line.insert(line.end(), sample.ids.begin(), sample.ids.end());
      for (const auto label : sample.labels)
        labelled += label >= 0 ? 1 : 0;
    }
    CHECK(mixture.labelled_tokens(tokens, kBatch) == labelled);
    lines.labelled += labelled;
  }
}

// What a source gives when it is read alone.
std::vector<std::int32_t> alone(const Texts& texts, std::size_t source, std::size_t tokens) {
  const auto all = data_sources(texts.job.data);
  const Corpus corpus(all[source], texts.tokenizer);
  return Sampler(corpus, texts.job.train.seed, all[source].name)
      .sample(0, static_cast<std::int64_t>(tokens))
      .ids;
}

void check_whole(const Texts& texts, Lines& lines) {
  for (const std::size_t source : {0, 1}) {
    const auto& line = lines.ids[texts.job.data.sources.name[source]];
    REQUIRE_FALSE(line.empty());
    CHECK(line == alone(texts, source, line.size()));
  }
}

TEST_SUITE("runtime/data/mixture") {
  TEST_CASE("every source is read from its beginning on, in its share") {
    const Texts texts;
    Mixture mixture(texts.job, texts.tokenizer);
    Lines lines;
    read(mixture, 0, 50 * kStep, lines);
    check_whole(texts, lines);
    CHECK(lines.ids["back"].size() == 2 * lines.ids["front"].size());
  }

  TEST_CASE("a run that is resumed anywhere reads the same samples") {
    const Texts texts;
    Mixture whole(texts.job, texts.tokenizer);
    for (std::int64_t step = 0; step < 20; ++step) {
      Mixture resumed(texts.job, texts.tokenizer);
      resumed.resume(whole.cursor(step * kStep), step * kStep);
      CHECK(resumed.cursor(step * kStep) == whole.cursor(step * kStep));
      for (std::int64_t i = 0; i < 2 * kBatch; ++i)
        CHECK(resumed.sample(step * kStep, i, kLength) == whole.sample(step * kStep, i, kLength));
    }
  }

  TEST_CASE(
      "a changed mix goes on with exactly the samples that are left, also when resumed again") {
    const Texts texts;
    Lines lines;
    std::int64_t tokens = 0;
    DataCursor cursor;
    const std::vector<std::vector<double>> mixes = {{1, 2}, {5, 1}, {0, 1}, {1, 1}, {1, 1}, {3, 2}};
    for (const auto& weights : mixes) {
      auto job = texts.job;
      job.data.sources.weight = weights;
      Mixture mixture(job, texts.tokenizer);
      if (tokens > 0) mixture.resume(cursor, tokens);
      read(mixture, tokens, tokens + 5 * kStep, lines);
      tokens += 5 * kStep;
      cursor = mixture.cursor(tokens);
    }
    check_whole(texts, lines);
    CHECK(cursor.anchor == 25 * kStep);  // the last change; an equal mix is none
    CHECK(cursor.sources[0].tokens + cursor.sources[1].tokens == tokens);
  }

  TEST_CASE("a source that is added begins, and the others go on") {
    const Texts texts;
    auto alone_job = texts.job;
    alone_job.data.sources.name.pop_back();
    alone_job.data.sources.files.pop_back();
    alone_job.data.sources.weight.pop_back();
    Lines lines;
    Mixture before(alone_job, texts.tokenizer);
    read(before, 0, 4 * kStep, lines);
    Mixture after(texts.job, texts.tokenizer);
    after.resume(before.cursor(4 * kStep), 4 * kStep);
    read(after, 4 * kStep, 30 * kStep, lines);
    check_whole(texts, lines);
  }

  TEST_CASE("a text that has changed is refused, with the name of its source") {
    const Texts texts;
    Mixture mixture(texts.job, texts.tokenizer);
    const auto cursor = mixture.cursor(kStep);
    std::ofstream(texts.job.data.sources.files[1][0], std::ios::app) << "more\n";
    Mixture changed(texts.job, texts.tokenizer);
    CHECK(test::data_error([&] { changed.resume(cursor, kStep); }).starts_with("source back: "));
  }
}

}  // namespace
}  // namespace fulgur
