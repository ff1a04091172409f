#pragma once

/// @file
/// The state that a part contributes to a checkpoint. A stateful part has
///
///     template <class Visitor> void visit_state(Visitor& v) {
///       v("step", step_);          // arithmetic scalar or enum
///       v("moments", moments_);    // std::vector / AlignedVector / Matrix of arithmetic values (resized on loading)
///       v("weights", span);        // std::span of mutable arithmetic values (the stored length must be its own)
///       v("name", name_);          // std::string
///       v("network", network_);    // any part that has visit_state itself; names join with '.'
///     }
///
/// Names are anything that converts to std::string_view; values may be lvalues or rvalue views.
/// The same function saves and loads: a saving visitor reads the arguments, a loading one overwrites them and throws
/// BadFile naming an entry that is missing, surplus, or of another type. io/state.hpp holds the two visitors.
/// Options are not state: a part is built from its options, then its state is loaded.
/// A visitor that only saves may say so by a const member `may_load()` that gives false.

#include <concepts>
#include <utility>

namespace maestro {

namespace detail {
struct AnyVisitor {
  template <class Name, class Value>
  void operator()(const Name&, Value&&) {}
};
}  // namespace detail

/// A Stateful part has state that a checkpoint holds.
template <class T>
concept Stateful = requires(T& part, detail::AnyVisitor& visitor) {
  part.visit_state(visitor);
};

/// Tells whether a visitor may overwrite what it visits. A part whose state lies elsewhere, such as on a device, need
/// not be loaded again after a visit that only saved.
template <class Visitor>
constexpr bool may_load(const Visitor& v) {
  if constexpr (requires {
                  { v.may_load() } -> std::convertible_to<bool>;
                }) {
    return v.may_load();
  } else {
    return true;
  }
}

}  // namespace maestro
