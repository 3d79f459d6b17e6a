#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "recipes/data_mix.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// How far a run has read one of its sources, for checkpoints.
struct SourceCursor {
  std::string name;
  std::string fingerprint;     // of its text
  std::int64_t tokens = 0;     // read of it so far
  std::int64_t at_anchor = 0;  // read of it at the anchor

  friend bool operator==(const SourceCursor&, const SourceCursor&) = default;
};

// Where a run's data come from and go on. The order of samples is a function of the job and of what had
// been read at the anchor: the start of the run, or where a resume changed the mix.
struct DataCursor {
  std::int64_t anchor = 0;  // tokens seen by the run
  std::vector<SourceCursor> sources;

  friend bool operator==(const DataCursor&, const DataCursor&) = default;
};

// The one global order of a job's samples: a line of steps that begin after so many tokens have been seen,
// and for each sample of a step the source that it is from and the tokens of that source before it. The
// cursor of a run is one number, the tokens it has seen.
//
// Every source is read from its beginning on, without a gap, whatever the mix or the sequence length: a
// sample begins where the one before it of the same source ended.
class DataOrder {
 public:
  // `read` are the tokens read of each source when the run had seen `anchor` tokens; a step begins there.
  // Cost: O(phases x sources).
  DataOrder(const Job& job, std::int64_t anchor, std::vector<std::int64_t> read);

  struct Place {
    std::size_t source;
    std::int64_t token;  // of the source, where the sample begins
  };
  // Sample i (from 0) of the step that begins at `tokens` >= anchor. Cost: O(log phases + S log S).
  Place sample(std::int64_t tokens, std::int64_t i) const;

  // The tokens read of each source when i samples of the step that begins at `tokens` have been.
  std::vector<std::int64_t> read(std::int64_t tokens, std::int64_t i = 0) const;

 private:
  // Steps of one sequence length whose shares lie on one straight line.
  struct Piece {
    std::int64_t from;               // tokens seen before its first step
    std::int64_t length;             // N
    std::vector<std::int64_t> read;  // of each source, at `from`
    MixOrder order;
  };
  const Piece& piece_at(std::int64_t tokens) const;

  std::vector<Piece> pieces_;
};

}  // namespace fulgur
