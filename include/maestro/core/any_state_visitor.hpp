#pragma once

/// @file
/// A visitor of state whose type is erased, for parts whose own type is erased.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/state.hpp"

namespace maestro {

/// AnyStateVisitor wraps any visitor of core/state.hpp. A virtual function cannot be a template, so a part behind an
/// interface takes this type: `void visit_state(AnyStateVisitor& v)`. The wrapper passes every value on unchanged,
/// under the same name, so the entries of a checkpoint are those of the part itself. Values may be bool, std::uint8_t,
/// integers of 32 and 64 bits, float, double, enums, strings, vectors, spans and arrays of these numbers, matrices of
/// float or double, and parts; a vector of parts has to be visited element by element. The wrapper refers to the
/// visitor that it was made from, which must outlive it.
class AnyStateVisitor {
 public:
  template <class Visitor>
  requires(!std::is_same_v<std::remove_const_t<Visitor>, AnyStateVisitor>) explicit AnyStateVisitor(Visitor& visitor)
      : visitor_(&visitor),
        may_load_(maestro::may_load(visitor)),
        visit_value_([](void* v, std::string_view name, const Value& value) {
          std::visit([&](auto pointed) { pointed.visit(*static_cast<Visitor*>(v), name); }, value);
        }),
        visit_part_([](void* v, std::string_view name, const Part& part) {
          const Nested nested{part};
          (*static_cast<Visitor*>(v))(name, nested);
        }) {}

  bool may_load() const { return may_load_; }

  template <class T>
  void operator()(std::string_view name, T&& value) {
    using V = std::remove_cvref_t<T>;
    if constexpr (std::is_enum_v<V>) {
      auto stored = static_cast<std::underlying_type_t<V>>(value);
      (*this)(name, stored);
      value = static_cast<V>(stored);
    } else if constexpr (IsArray<V>::value) {
      (*this)(name, std::span<typename V::value_type>(value));
    } else if constexpr (IsIn<Pointed<V>, Value>::value) {
      visit_value_(visitor_, name, Value(Pointed<V>{&value}));
    } else {
      static_assert(Stateful<V>,
                    "maestro: state behind an erased type is made of bool, std::uint8_t, integers of 32 and 64 bits, "
                    "float, double, enums, strings, vectors, spans and arrays of these numbers, matrices of float or "
                    "double, and parts with visit_state");
      visit_part_(visitor_, name, [&value](AnyStateVisitor& inner) { value.visit_state(inner); });
    }
  }

 private:
  template <class T>
  struct IsArray : std::false_type {};
  template <class T, std::size_t n>
  struct IsArray<std::array<T, n>> : std::true_type {};

  /// Visits a value of one of the types that the list below names.
  template <class T>
  struct Pointed {
    T* value;
    template <class Visitor>
    void visit(Visitor& v, std::string_view name) const {
      v(name, *value);
    }
  };
  /// The list is closed because every type in it costs one function of each visitor.
  template <class... T>
  using ValueOf = std::variant<Pointed<bool>, Pointed<std::string>, Pointed<std::uint8_t>, Pointed<T>...,
                               Pointed<std::vector<T>>..., Pointed<std::span<T>>..., Pointed<AlignedVector<float>>,
                               Pointed<AlignedVector<double>>, Pointed<Matrix<float>>, Pointed<Matrix<double>>>;
  using Value = ValueOf<std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, float, double>;
  template <class P, class V>
  struct IsIn;
  template <class P, class... Alternatives>
  struct IsIn<P, std::variant<Alternatives...>> : std::bool_constant<(std::is_same_v<P, Alternatives> || ...)> {};

  using Part = std::function<void(AnyStateVisitor&)>;
  struct Nested {
    const Part& part;
    template <class Visitor>
    void visit_state(Visitor& v) const {
      AnyStateVisitor inner(v);
      part(inner);
    }
  };

  void* visitor_;
  bool may_load_;
  void (*visit_value_)(void*, std::string_view, const Value&);
  void (*visit_part_)(void*, std::string_view, const Part&);
};

}  // namespace maestro
