#include "runtime/checkpoint/coverage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "runtime/checkpoint/box_index.hpp"
#include "runtime/checkpoint/files.hpp"

namespace fulgur {
namespace {

using Boxes = std::vector<const Box*>;

struct Pieces {
  Boxes boxes;
  std::vector<const ShardRecord*> shards;  // of each box
};

// The places of a dim at which a box begins or ends, and its two ends.
std::vector<std::int64_t> borders(const Boxes& boxes, std::size_t dim, std::int64_t size) {
  std::vector<std::int64_t> found{0, size};
  for (const auto* box : boxes) {
    found.push_back(box->start[dim]);
    found.push_back(box->start[dim] + box->count[dim]);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

// Elements of one slice of a box or a shape: the product of the dims behind `dim`.
std::int64_t slice_elements(const std::vector<std::int64_t>& dims, std::size_t dim) {
  std::int64_t elements = 1;
  for (auto inner = dim + 1; inner < dims.size(); ++inner)
    elements *= dims[inner];
  return elements;
}

// Boxes that do not overlap and do not fill a tensor: the first box of the gap, row-major. Between two
// neighbouring borders of a dim all slices meet the same boxes, and these fill a slice if and only if
// they have as many elements as it; the first slice that is not full is cut further in the next dim.
Box first_gap(const std::vector<std::int64_t>& shape, Boxes boxes) {
  auto gap = whole_box(shape);
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    const auto cuts = borders(boxes, dim, shape[dim]);
    for (std::size_t cut = 0; cut + 1 < cuts.size(); ++cut) {
      Boxes inside;
      std::int64_t filled = 0;
      for (const auto* box : boxes) {
        if (box->start[dim] > cuts[cut] || box->start[dim] + box->count[dim] <= cuts[cut]) continue;
        inside.push_back(box);
        filled += slice_elements(box->count, dim);
      }
      if (filled == slice_elements(shape, dim)) continue;
      gap.start[dim] = cuts[cut];
      gap.count[dim] = cuts[cut + 1] - cuts[cut];
      boxes = std::move(inside);
      break;
    }
  }
  return gap;
}

void check_overlaps(const TensorRecord& tensor, const Pieces& pieces,
                    const std::filesystem::path& path) {
  const BoxIndex index(pieces.boxes);
  for (std::size_t piece = 0; piece < pieces.boxes.size(); ++piece) {
    for (const auto other : index.overlapping(*pieces.boxes[piece])) {
      if (other == piece) continue;
      const auto common = intersection(*pieces.boxes[piece], *pieces.boxes[other]);
      fail_invalid(path, fmt::format("tensor `{}`: the elements {} are in {} and in {}",
                                     tensor.name, to_text(*common), pieces.shards[piece]->file,
                                     pieces.shards[other]->file));
    }
  }
}

void check_tensor(const TensorRecord& tensor, const Pieces& pieces,
                  const std::filesystem::path& path) {
  check_overlaps(tensor, pieces, path);
  std::int64_t covered = 0;  // at most the whole, as nothing overlaps
  for (const auto* box : pieces.boxes)
    covered += box->elements();
  if (covered == element_count(tensor)) return;
  fail_invalid(path, fmt::format("tensor `{}`: the elements {} are in no shard", tensor.name,
                                 to_text(first_gap(tensor.shape, pieces.boxes))));
}

}  // namespace

void check_coverage(const Manifest& manifest, const std::filesystem::path& path) {
  std::map<std::string_view, Pieces> pieces;
  for (const auto& shard : manifest.shards) {
    for (const auto& piece : shard.pieces) {
      pieces[piece.tensor].boxes.push_back(&piece.box);
      pieces[piece.tensor].shards.push_back(&shard);
    }
  }
  for (const auto& tensor : manifest.tensors)
    check_tensor(tensor, pieces[tensor.name], path);
}

}  // namespace fulgur
