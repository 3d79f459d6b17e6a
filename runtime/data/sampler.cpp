#include "runtime/data/sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/random.hpp"

namespace fulgur {
namespace {

constexpr std::int32_t kNoLabel = -1;

// Numbers drawn one after the other from the counter-based sequence (seed, name).
class Draws {
 public:
  Draws(std::uint64_t seed, std::string name) : seed_(seed), name_(std::move(name)) {}

  // Uniform in [0, bound). The lowest 2^64 mod bound values are thrown away, so that every
  // remainder is left equally often.
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t rejected = (0 - bound) % bound;
    std::uint64_t bits = 0;
    do {
      bits = random_bits(seed_, name_, counter_++);
    } while (bits < rejected);
    return bits % bound;
  }

 private:
  std::uint64_t seed_;
  std::string name_;
  std::uint64_t counter_ = 0;
};

// Fisher-Yates (Durstenfeld's form). A run's samples depend on every detail here: a change of it
// breaks the resume of every run that exists.
std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::string name) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Draws draws(seed, std::move(name));
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[draws.below(i)]);
  return order;
}

}  // namespace

Sampler::Sampler(const Corpus& corpus, std::uint64_t seed, std::string name)
    : corpus_(&corpus), seed_(seed), name_(std::move(name)) {}

Sample Sampler::sample(std::int64_t begin, std::int64_t length) {
  if (length < 1 || length > std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument(
        fmt::format("Sampler: expected 1 <= length < 2^31, got {}", length));
  if (begin < 0 || begin > std::numeric_limits<std::int64_t>::max() - length)
    throw std::invalid_argument(
        fmt::format("Sampler: expected a position 0 <= begin < 2^63 - {}, got {}", length, begin));
  const auto size = static_cast<std::size_t>(length);
  Sample out;
  out.ids.reserve(size);
  out.labels.reserve(size);
  std::int64_t number = begin / corpus_->num_tokens();
  std::int64_t position = begin % corpus_->num_tokens();
  while (out.ids.size() < size) {
    append_pass(number, position, size, out);
    ++number;
    position = 0;
  }
  out.starts.push_back(static_cast<std::int32_t>(length));
  return out;
}

std::int64_t Sampler::labelled_tokens(std::int64_t begin, std::int64_t end) {
  if (begin < 0 || end < begin)
    throw std::invalid_argument(fmt::format(
        "Sampler::labelled_tokens: expected 0 <= begin <= end, got {} and {}", begin, end));
  if (corpus_->eos()) return end - begin;
  return end - begin - (ends_before(end) - ends_before(begin));
}

// Appends the tokens of a pass from `position` on, until the pass or the sequence ends.
void Sampler::append_pass(std::int64_t number, std::int64_t position, std::size_t length,
                          Sample& out) {
  const Pass& current = pass(number);
  const std::int32_t last_label = corpus_->eos().value_or(kNoLabel);
  auto at = static_cast<std::size_t>(
      std::upper_bound(current.ends.begin(), current.ends.end(), position) - current.ends.begin());
  for (; at < current.documents.size() && out.ids.size() < length; ++at) {
    const std::span<const std::int32_t> document = corpus_->document(current.documents[at]);
    const std::size_t left = static_cast<std::size_t>(current.ends[at] - position);
    const std::size_t taken = std::min(left, length - out.ids.size());
    const auto rest = document.last(left);
    out.starts.push_back(static_cast<std::int32_t>(out.ids.size()));
    out.ids.insert(out.ids.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(taken));
    for (std::size_t t = 1; t <= taken; ++t) {
      out.labels.push_back(t < left ? rest[t] : last_label);
    }
    position = current.ends[at];
  }
}

// Number of documents of the endless line that end at or before `position`.
std::int64_t Sampler::ends_before(std::int64_t position) {
  const std::int64_t number = position / corpus_->num_tokens();
  const std::vector<std::int64_t>& ends = pass(number).ends;
  const auto in_pass = std::upper_bound(ends.begin(), ends.end(), position % corpus_->num_tokens());
  return number * corpus_->num_documents() + (in_pass - ends.begin());
}

const Sampler::Pass& Sampler::pass(std::int64_t number) {
  if (passes_[0].number == number) return passes_[0];
  std::swap(passes_[0], passes_[1]);
  if (passes_[0].number == number) return passes_[0];
  Pass& made = passes_[0];
  made.number = -1;  // until it is whole
  made.documents =
      shuffled(corpus_->num_documents(), seed_, name_ + ".pass." + std::to_string(number));
  made.ends.resize(made.documents.size());
  std::int64_t end = 0;
  for (std::size_t i = 0; i < made.documents.size(); ++i) {
    end += static_cast<std::int64_t>(corpus_->document(made.documents[i]).size());
    made.ends[i] = end;
  }
  made.number = number;
  return made;
}

}  // namespace fulgur
