#pragma once

/// @file
/// An executor is what the algorithms of this folder need of the place where they run: memory, launches, and sequences
/// of launches that are recorded once and replayed. This header compiles without nvcc and without the CUDA toolkit.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "maestro/cuda/core/team.hpp"

namespace maestro::gpu {

/// GraphKey holds what a recorded sequence depends on: pointers, sizes, options. Two equal keys may share a recording.
class GraphKey {
 public:
  template <class... Ts>
  explicit GraphKey(const Ts&... values) {
    (add(values), ...);
  }
  friend bool operator==(const GraphKey&, const GraphKey&) = default;

 private:
  template <class T>
  void add(const T& value) {
    static_assert(std::is_scalar_v<T>, "maestro: give a graph key scalars; padding has no defined value");
    const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof(T));
  }
  std::vector<unsigned char> bytes_;
};

/// LayerProduct is one of the three products of a layer y = x W' + b, where ' transposes. x has the shape (rows x
/// inputs), y (rows x outputs), W (outputs x inputs) and b (outputs); all are row-major and packed. S is the type of
/// the factors (float or Bfloat16); sums and results are float.
template <class S>
struct LayerProduct {
  enum class Kind : std::uint8_t {
    forward,  ///< result (rows x outputs) = x W' + b
    weights,  ///< result (outputs x inputs) = y' x, bias (outputs) = the column sums of y; `y` is d loss / d y
    input,    ///< result (rows x inputs) = y W; `y` is d loss / d y
  };
  Kind kind = Kind::forward;
  std::size_t rows = 0;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  const S* x = nullptr;
  const S* weight = nullptr;
  const S* y = nullptr;
  float* bias = nullptr;  ///< read by forward, written by weights
  float* result = nullptr;
};

namespace detail {

/// EmptyBody is the smallest body of a kernel; the concept Executor is stated with it.
struct EmptyBody {
  static constexpr unsigned threads = 32;
  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T&, std::size_t) const {}
};

}  // namespace detail

/// An Executor is a place where kernel bodies run.
///
/// - `launch(teams, body)` calls body(team, t) for every t in [0, teams), in any order. A body has `threads` (of a
///   block) and `shared_bytes()` (of scratch for a team); it is copied.
/// - `replay(graph, key, record)` runs what `record()` launches. If `key` is that of the recording in `graph`, the
///   recording may be replayed instead.
/// - `multiply(product)` computes the product by a library and returns true, or does nothing and returns false if the
///   executor has no library for this product.
/// - `copy`, `upload`, `download` and `clear` run in the order of the launches; the host may read what was downloaded
///   after `wait()`.
/// - `shared_limit()` returns the largest `shared_bytes()` that a body may have.
/// - `Buffer<T>` is memory of the executor. `reserve(count)` makes room and returns whether the storage moved; no other
///   function of a buffer allocates.
template <class E>
concept Executor = requires(E& executor, typename E::Graph& graph, const GraphKey& key, void (*record)(),
                            typename E::template Buffer<float>& buffer, const float* from, float* to) {
  executor.launch(std::size_t{}, detail::EmptyBody{});
  executor.replay(graph, key, record);
  { executor.multiply(LayerProduct<float>{}) } -> std::same_as<bool>;
  executor.copy(from, to, std::size_t{});
  executor.upload(from, to, std::size_t{});
  executor.download(from, to, std::size_t{});
  executor.clear(to, std::size_t{});
  executor.wait();
  { executor.shared_limit() } -> std::same_as<std::size_t>;
  { buffer.reserve(std::size_t{}) } -> std::same_as<bool>;
  { buffer.data() } -> std::same_as<float*>;
};

namespace detail {

/// ElementsBody is a kernel body that calls element(i) for every i in [0, count), each on one member of a team.
template <class F>
struct ElementsBody {
  static constexpr unsigned threads = 256;
  std::size_t count;
  F element;

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t index) const {
    for_each(team, threads, [&](std::size_t e) {
      const std::size_t i = index * threads + e;
      if (i < count) element(i);
    });
  }
};

}  // namespace detail

/// Launches element(i) for every i in [0, count), in any order. `element` is copied; it is a functor whose call
/// operator is MAESTRO_HD.
template <Executor E, class F>
void launch_elements(E& executor, std::size_t count, const F& element) {
  constexpr std::size_t threads = detail::ElementsBody<F>::threads;
  executor.launch((count + threads - 1) / threads, detail::ElementsBody<F>{count, element});
}

}  // namespace maestro::gpu
