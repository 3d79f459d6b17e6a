#pragma once

#include <memory>

#include "runtime/comm/communicator.hpp"

namespace fulgur {

// A communicator of GPU memory made of one of host memory, for hosts without NCCL: an operation
// copies its tensor from the GPU to page-locked host memory, exchanges there, and copies the result
// back. Same groups, same sums and same errors as `host`, whose operations are numbered without
// those that move nothing.
//
// The GPU is the one that the calling thread has chosen (use_cuda_device). Throws
// std::runtime_error in a build without CUDA.
//
// Async.   An operation is queued and the call returns, as everywhere; a thread of the communicator
//          does the exchange. While that lasts the stream waits for a word in host memory, which
//          occupies no multiprocessor. A stream that waits so may hold up other streams that share
//          its hardware queue (CUDA_DEVICE_MAX_CONNECTIONS, 8 unless set): all ranks queue the
//          operations of all their communicators in one order, and have a process each; the processes
//          may share a GPU. The caller may be held up in calls of CUDA that wait for the GPU (the first
//          launch of a kernel, memory that is allocated or freed): the exchange goes on.
// Memory.  Page-locked, as large as the largest in and out so far; grows at the first operations.
// Cost.    What `host` takes, and two passes over the host link, one after the other.
std::unique_ptr<Communicator> make_staged_communicator(std::unique_ptr<Communicator> host);

}  // namespace fulgur
