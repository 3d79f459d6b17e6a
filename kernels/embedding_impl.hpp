#pragma once

#include "kernels/embedding.hpp"

namespace fulgur::cpu {
void embedding_forward(const EmbeddingForward& args, Stream& stream);
void embedding_backward(const EmbeddingBackward& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void embedding_forward(const EmbeddingForward& args, Stream& stream);
void embedding_backward(const EmbeddingBackward& args, Stream& stream);
}  // namespace fulgur::cuda
