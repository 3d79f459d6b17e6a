#pragma once

#include "kernels/router.hpp"

namespace fulgur::cpu {
void router_forward(const RouterForward& args, Stream& stream);
void router_backward(const RouterBackward& args, Stream& stream);
void router_replay(const RouterReplay& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void router_forward(const RouterForward& args, Stream& stream);
void router_backward(const RouterBackward& args, Stream& stream);
void router_replay(const RouterReplay& args, Stream& stream);
}  // namespace fulgur::cuda
