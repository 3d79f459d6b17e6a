#pragma once

#include "kernels/cuda_softmax.cuh"

// How a thread block that has keys finds the queries that see them.
namespace fulgur::cuda::softmax {

// The tiles of queries that see keys from `first` on, head by head of the KV head's group, span by
// span.
template <int kQueries>
class Walk {
 public:
  __device__ Walk(const BackwardArgs<Bf16>& args, std::int64_t first, std::int64_t num_rows,
                  std::int64_t kv_head)
      : args_(args), first_(first), end_(first + num_rows), group_(args.H / args.G) {
    first_head_ = head = kv_head * group_;
    next_span();
  }

  __device__ bool is_over() const { return index_ >= args_.num_spans; }
  __device__ void next() {
    if (++head < first_head_ + group_) return;
    head = first_head_;
    query += kQueries;
    if (query >= span.q_end) next_span();
  }

  Span span;
  std::int64_t query, head;

 private:
  __device__ void next_span() {
    while (++index_ < args_.num_spans) {
      span = args_.span(index_);
      if (span.k_end <= first_ || span.k_begin >= end_) continue;
      // The first query that sees the first of these keys.
      const auto skipped = max(std::int64_t{0}, first_ - span.k_begin - span.shift);
      query = span.q_begin + skipped / kQueries * kQueries;
      if (query < span.q_end) return;
    }
  }

  const BackwardArgs<Bf16>& args_;
  std::int64_t first_, end_, group_, first_head_, index_ = -1;
};

// Which of a block's kKeys keys the queries of a tile see: key r and query c with r <= c +
// diagonal, r inside [begin, end) and c < columns.
template <int kKeys>
struct Sight {
  __device__ Sight(const Span& span, std::int64_t first_key, std::int64_t query) {
    const auto in_tile = [](std::int64_t x) {
      return static_cast<int>(max(std::int64_t{-kKeys}, min(x, std::int64_t{kKeys})));
    };
    diagonal = in_tile(query - span.q_begin + span.shift - (first_key - span.k_begin));
    begin = in_tile(span.k_begin - first_key);
    end = in_tile(span.k_end - first_key);
    columns = in_tile(span.q_end - query);
  }
  __device__ bool is_full(int queries) const {
    return diagonal >= kKeys - 1 && begin <= 0 && end >= kKeys && columns >= queries;
  }
  __device__ bool sees(int key, int query) const {
    return key <= query + diagonal && key >= begin && key < end && query < columns;
  }
  int diagonal, begin, end, columns;
};

}  // namespace fulgur::cuda::softmax
