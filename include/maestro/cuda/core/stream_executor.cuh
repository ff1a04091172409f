#pragma once

/// @file
/// The executor of a device runs kernel bodies on a CUDA stream, one block of threads for each team.

#if !defined(__CUDACC__)
#error "maestro/cuda/core/stream_executor.cuh holds kernels: compile this file with nvcc (name it .cu)"
#endif

#include <cuda_runtime.h>
#include <cub/block/block_reduce.cuh>
#include <cub/util_type.cuh>

#include <cstddef>
#include <limits>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/matmul.hpp"
#include "maestro/cuda/core/stream.hpp"
#include "maestro/cuda/core/team.hpp"

namespace maestro::gpu {

/// BlockTeam is the team whose members are the threads of a block.
template <unsigned Threads>
class BlockTeam {
  static_assert(Threads % 32 == 0 && Threads >= 32 && Threads <= 1024, "maestro: a block has whole warps");

 public:
  MAESTRO_HD explicit BlockTeam(unsigned char* shared) : shared_(shared) {}

  MAESTRO_HD std::size_t rank() const {
#if defined(__CUDA_ARCH__)
    return threadIdx.x;
#else
    return 0;
#endif
  }
  MAESTRO_HD std::size_t size() const { return Threads; }
  MAESTRO_HD void sync() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#endif
  }
  /// Reduces by cub::BlockReduce in its default order, which depends on the block's size alone.
  template <class T, class Op>
  MAESTRO_HD T reduce(T value, const Op& op) const {
#if defined(__CUDA_ARCH__)
    using Reduce = cub::BlockReduce<T, static_cast<int>(Threads)>;
    __shared__ typename Reduce::TempStorage storage;
    __shared__ cub::Uninitialized<T> result;  // a shared variable runs no constructor
    const T total = Reduce(storage).Reduce(value, op);
    if (threadIdx.x == 0) result.Alias() = total;
    __syncthreads();
    value = result.Alias();
    __syncthreads();  // storage and result are free for the next call
#else
    (void)op;
#endif
    return value;
  }
  /// Adds by shuffles within warps, then over the warps in order. `count` is at most Most.
  template <std::size_t Most>
  MAESTRO_HD void sum_each(const float* values, std::size_t count, float* sums) const {
#if defined(__CUDA_ARCH__)
    constexpr unsigned warps = Threads / 32;
    __shared__ float of_warps[warps * Most];
    const unsigned lane = threadIdx.x % 32;
    const unsigned warp = threadIdx.x / 32;
#pragma unroll
    for (std::size_t v = 0; v < Most; ++v) {
      if (v >= count) break;
      float value = values[v];
      for (unsigned step = 16; step > 0; step /= 2) value += __shfl_down_sync(0xffffffffu, value, step);
      if (lane == 0) of_warps[warp * Most + v] = value;
    }
    __syncthreads();
    for (std::size_t v = threadIdx.x; v < count; v += Threads) {
      float sum = of_warps[v];
      for (unsigned w = 1; w < warps; ++w) sum += of_warps[w * Most + v];
      sums[v] = sum;
    }
    __syncthreads();
#else
    (void)values;
    (void)count;
    (void)sums;
#endif
  }
  MAESTRO_HD unsigned char* shared() const { return shared_; }

 private:
  unsigned char* shared_;
};

namespace detail {

/// run_body is the only kernel of the library: it runs every body.
template <class Body>
__global__ void __launch_bounds__(Body::threads) run_body(const Body body) {
  extern __shared__ __align__(16) unsigned char maestro_shared[];
  body(BlockTeam<Body::threads>(maestro_shared), blockIdx.x);
}

}  // namespace detail

/// StreamExecutor is the executor of a device. Launches and copies go to the stream that it was given, in order. It
/// waits in wait() and if a buffer grows; a copy between host and device waits if cudaMemcpyAsync does so, as it may
/// for host memory that is not page-locked.
class StreamExecutor {
 public:
  template <class T>
  using Buffer = DeviceBuffer<T>;

  /// Graph is a recorded sequence of launches.
  class Graph {
   public:
    Graph() = default;
    Graph(Graph&& other) noexcept : key_(std::move(other.key_)), graph_(std::exchange(other.graph_, nullptr)) {}
    Graph& operator=(Graph&& other) noexcept {
      std::swap(key_, other.key_);
      std::swap(graph_, other.graph_);
      return *this;
    }
    ~Graph() { forget(); }

   private:
    friend class StreamExecutor;
    void forget() {
      if (graph_ != nullptr) cudaGraphExecDestroy(std::exchange(graph_, nullptr));
    }
    GraphKey key_;
    cudaGraphExec_t graph_ = nullptr;
  };

  /// Makes an executor on the current device.
  /// @param stream  everything runs on it; it must outlive the executor. It may be the legacy default stream.
  /// @throws CudaError if there is no device.
  explicit StreamExecutor(cudaStream_t stream) : stream_(stream) {
    int device = 0;
    int limit = 0;
    MAESTRO_CUDA(cudaGetDevice(&device));
    MAESTRO_CUDA(cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
    constexpr int fixed = 8 * 1024;  // for the static shared memory of reductions
    shared_limit_ = limit > fixed ? static_cast<std::size_t>(limit - fixed) : 0;
  }

  cudaStream_t stream() const { return stream_; }

  /// Enqueues one kernel of `teams` blocks of Body::threads threads.
  /// @throws BadArgument for more than 2^31 - 1 teams; CudaError if the launch is refused.
  template <class Body>
  void launch(std::size_t teams, const Body& body) {
    if (teams == 0) return;
    if (teams > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
      throw BadArgument("a launch of more than 2^31 - 1 blocks: split the batch");
    }
    const std::size_t shared = body.shared_bytes();
    constexpr std::size_t always = 48 * 1024;
    if (shared > always - 8 * 1024) {
      MAESTRO_CUDA(cudaFuncSetAttribute(detail::run_body<Body>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        static_cast<int>(shared)));
    }
    detail::run_body<Body><<<static_cast<unsigned>(teams), Body::threads, shared, target()>>>(body);
    MAESTRO_CUDA(cudaPeekAtLastError());
  }

  /// Runs or replays a sequence. The first call with a key runs the sequence without a recording, since nothing may be
  /// allocated and no kernel loaded during a recording. The second call records it, and this call and later ones replay
  /// the recording, until a call has another key. Recording takes place on a stream of the executor's own, so that the
  /// caller's stream may be the legacy default stream. If the caller is recording a graph on its stream, the launches
  /// become part of that graph.
  /// @throws CudaError if a call of the CUDA runtime fails.
  template <class Record>
  void replay(Graph& graph, const GraphKey& key, const Record& record) {
    cudaStreamCaptureStatus status{};
    MAESTRO_CUDA(cudaStreamIsCapturing(stream_, &status));
    if (status == cudaStreamCaptureStatusActive) return record();
    if (!(graph.key_ == key)) {
      graph.forget();
      record();
      graph.key_ = key;
      return;
    }
    if (graph.graph_ == nullptr) graph.graph_ = capture(record);
    MAESTRO_CUDA(cudaGraphLaunch(graph.graph_, stream_));
  }

  /// Multiplies by cuBLASLt and returns true, or returns false if the layer is too small for it (Matmul::suits).
  /// @throws CudaError as Matmul does.
  template <class S>
  bool multiply(const LayerProduct<S>& product) {
    return matmul_(product, target());
  }

  template <class T>
  void copy(const T* from, T* to, std::size_t count) {
    transfer(from, to, count, cudaMemcpyDeviceToDevice);
  }
  template <class T>
  void upload(const T* from, T* to, std::size_t count) {
    transfer(from, to, count, cudaMemcpyHostToDevice);
  }
  template <class T>
  void download(const T* from, T* to, std::size_t count) {
    transfer(from, to, count, cudaMemcpyDeviceToHost);
  }
  template <class T>
  void clear(T* values, std::size_t count) {
    if (count > 0) MAESTRO_CUDA(cudaMemsetAsync(values, 0, count * sizeof(T), target()));
  }
  /// Waits until everything on the stream is done.
  /// @throws CudaError if a launch or copy has failed.
  void wait() { MAESTRO_CUDA(cudaStreamSynchronize(stream_)); }
  /// Gives the bytes of scratch that a team may have: 8 KiB less than the shared memory that a block can ask for.
  std::size_t shared_limit() const { return shared_limit_; }

 private:
  cudaStream_t target() const { return recording_ != nullptr ? recording_ : stream_; }

  template <class T>
  void transfer(const T* from, T* to, std::size_t count, cudaMemcpyKind kind) {
    if (count > 0) MAESTRO_CUDA(cudaMemcpyAsync(to, from, count * sizeof(T), kind, target()));
  }

  template <class Record>
  cudaGraphExec_t capture(const Record& record) {
    cudaGraph_t recorded = nullptr;
    MAESTRO_CUDA(cudaStreamBeginCapture(side_.get(), cudaStreamCaptureModeThreadLocal));
    recording_ = side_.get();
    try {
      record();
    } catch (...) {
      recording_ = nullptr;
      cudaStreamEndCapture(side_.get(), &recorded);
      if (recorded != nullptr) cudaGraphDestroy(recorded);
      throw;
    }
    recording_ = nullptr;
    MAESTRO_CUDA(cudaStreamEndCapture(side_.get(), &recorded));
    cudaGraphExec_t made = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&made, recorded, 0);
    cudaGraphDestroy(recorded);
    check(status, "cudaGraphInstantiate(&made, recorded, 0)");
    return made;
  }

  cudaStream_t stream_;
  Stream side_;  // where sequences are recorded
  cudaStream_t recording_ = nullptr;
  std::size_t shared_limit_ = 0;
  Matmul matmul_;
};

namespace detail {

struct OwnStream {
  Stream own;
};

}  // namespace detail

/// OwnStreamExecutor is a StreamExecutor with a stream of its own.
class OwnStreamExecutor : private detail::OwnStream, public StreamExecutor {
 public:
  OwnStreamExecutor() : StreamExecutor(own.get()) {}
};

static_assert(Executor<StreamExecutor> && Executor<OwnStreamExecutor>);

}  // namespace maestro::gpu
