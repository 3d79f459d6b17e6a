#include "runtime/data/mixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fulgur {
namespace {

std::string fingerprint_text(const Corpus& corpus) {
  return fmt::format("{:016x}", corpus.fingerprint());
}

}  // namespace

Mixture::Mixture(const Job& job, const Tokenizer& tokenizer)
    : job_(&job), at_anchor_(data_sources(job.data).size(), 0), order_(job, anchor_, at_anchor_) {
  for (const auto& source : data_sources(job.data))
    sources_.emplace_back(source, job.train.seed, tokenizer);
}

void Mixture::resume(const DataCursor& cursor, std::int64_t tokens) {
  std::vector<std::int64_t> at_anchor, read;
  for (const auto& source : sources_) {
    const auto before =
        std::find_if(cursor.sources.begin(), cursor.sources.end(),
                     [&](const SourceCursor& each) { return each.name == source.name; });
    const bool known = before != cursor.sources.end();
    const auto fingerprint = fingerprint_text(source.corpus);
    if (known && before->fingerprint != fingerprint)
      throw DataError(
          fmt::format("source {}: the training text has changed since (fingerprint {}, now {})",
                      source.name, before->fingerprint, fingerprint));
    at_anchor.push_back(known ? before->at_anchor : 0);
    read.push_back(known ? before->tokens : 0);
  }
  anchor_ = cursor.anchor;
  at_anchor_ = std::move(at_anchor);
  order_ = DataOrder(*job_, anchor_, at_anchor_);
  if (order_.read(tokens) == read) return;
  anchor_ = tokens;
  at_anchor_ = std::move(read);
  order_ = DataOrder(*job_, anchor_, at_anchor_);
}

DataCursor Mixture::cursor(std::int64_t tokens) const {
  DataCursor cursor{.anchor = anchor_, .sources = {}};
  const auto read = order_.read(tokens);
  for (std::size_t i = 0; i < sources_.size(); ++i)
    cursor.sources.push_back({.name = sources_[i].name,
                              .fingerprint = fingerprint_text(sources_[i].corpus),
                              .tokens = read[i],
                              .at_anchor = at_anchor_[i]});
  return cursor;
}

Sample Mixture::sample(std::int64_t tokens, std::int64_t i, std::int64_t length) {
  const auto place = order_.sample(tokens, i);
  return sources_[place.source].sampler.sample(place.token, length);
}

std::int64_t Mixture::labelled_tokens(std::int64_t tokens, std::int64_t samples) {
  const auto begin = order_.read(tokens), end = order_.read(tokens, samples);
  std::int64_t labelled = 0;
  for (std::size_t i = 0; i < sources_.size(); ++i)
    labelled += sources_[i].sampler.labelled_tokens(begin[i], end[i]);
  return labelled;
}

}  // namespace fulgur
