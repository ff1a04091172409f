#pragma once

/// @file
/// The view of one named parameter, which optimizers, snapshots and checkpoints share.

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

#include "maestro/core/refusal.hpp"

namespace maestro {

/// WeightDecay says whether weight decay acts on a parameter. Norms and biases skip it.
enum class WeightDecay { apply, skip };

/// ParameterView is one parameter tensor: its values, its gradients (of the same length, or empty if the parameter is
/// frozen) and its shape. A trainable part has `template <class F> void visit(F&& f)`, which calls f(ParameterView<T>)
/// for each of its parameters, always in the same order; `name` stays valid during the call.
template <class T>
struct ParameterView {
  using scalar_type = T;

  std::string_view name;
  std::span<T> values;
  std::span<T> gradients;
  std::size_t rows = 1;
  std::size_t cols = 1;  ///< rows * cols == values.size(); a vector has rows == 1
  WeightDecay decay = WeightDecay::apply;
};

namespace detail {

/// AnyParameterVisitor takes any parameter. It is a named type, since nvcc takes no lambda in a concept.
struct AnyParameterVisitor {
  template <class View>
  void operator()(const View&) const {}
};

/// ParameterVisitor takes only parameters of type T. If a part's `visit` hands over another type, the compile error
/// says so.
template <class T>
struct ParameterVisitor {
  void operator()(const ParameterView<T>&) const {}
  template <class Other>
  void operator()(const Other&) const {
    static_assert(refused<Other>,
                  "maestro: visit(f) must call f(maestro::ParameterView<scalar_type>) for every parameter");
  }
};

template <class T>
concept ParameterScalar = std::same_as<T, float> || std::same_as<T, double>;

}  // namespace detail

/// A Visitable part is one whose parameters can be visited.
template <class P>
concept Visitable = requires(P& part) {
  part.visit(detail::AnyParameterVisitor{});
};

/// A Trainable part has parameters of its `scalar_type`, which is float or double.
template <class P>
concept Trainable = Visitable<P> && detail::ParameterScalar<typename P::scalar_type> && requires(P& part) {
  part.visit(detail::ParameterVisitor<typename P::scalar_type>{});
};

namespace detail {

/// Is always true. It compiles the body of `visit`, which a concept does not check, with a visitor whose error names
/// the mistake. Otherwise the code that reads the parameters would give its own errors first.
template <Trainable P>
constexpr bool compiles_visit(P* part = nullptr) {
  if (part != nullptr) part->visit(ParameterVisitor<typename P::scalar_type>{});
  return true;
}

}  // namespace detail

/// ParameterValues presents the parameter values of a visitable part as checkpoint state: v("policy",
/// ParameterValues{policy}).
template <Visitable P>
struct ParameterValues {
  P& part;

  template <class Visitor>
  void visit_state(Visitor& v) {
    part.visit([&](auto parameter) { v(parameter.name, parameter.values); });
  }
};
template <class P>
ParameterValues(P&) -> ParameterValues<P>;

}  // namespace maestro
