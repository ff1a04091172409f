#pragma once

/// @file
/// The lists of options. Each options struct has one list of its members. The command line's options and the
/// fingerprint of a run are derived from it. Neutral.

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace maestro {

/// Recorded says when a fingerprint contains an option, from the most to the least often.
enum class Recorded : std::uint8_t {
  always,
  unless_default,  ///< few runs touch it
  never,           ///< it has no effect, or something else in the fingerprint tells it
};

/// EnumAs says how a fingerprint writes an enum.
enum class EnumAs : std::uint8_t { name, number };

/// OptionInfo describes one member of an options struct.
struct OptionInfo {
  std::string_view name;     ///< TRL's name if it has one, words joined by '_'; for a struct, that of its members
  std::string_view help{};   ///< text for --help, "{}" stands for `values`; empty: only programs set the option
  std::string_view group{};  ///< the heading of --help under which the option stands
  std::span<const std::string_view> values{};  ///< the names that an enum or a text chooses from, in the enum's order
  std::string_view key{};                      ///< its key in a fingerprint, if that is not `name`
  std::string_view list{};  ///< the list of a fingerprint that its value joins instead of having a key
  Recorded recorded = Recorded::always;
  EnumAs enum_as = EnumAs::name;  ///< for an enum that has `values`; an enum without them is written as a number
};

/// OptionsOf holds if S is T or const T. The list of T's members takes both.
template <class S, class T>
concept OptionsOf = std::same_as<std::remove_const_t<S>, T>;

namespace detail {

/// AnyMember is a callable that takes every member of a list. It is not a lambda, since nvcc accepts none in a
/// constraint.
struct AnyMember {
  template <class Member>
  constexpr void operator()(const OptionInfo&, Member&) const {}
};

/// Describes a member of a struct that is itself a member of another struct. The outer group applies if the member has
/// none of its own. The outer list always applies.
constexpr OptionInfo within(const OptionInfo& outer, OptionInfo inner) {
  if (inner.group.empty()) inner.group = outer.group;
  if (inner.recorded < outer.recorded) inner.recorded = outer.recorded;
  if (!outer.list.empty()) {
    inner.list = outer.list;
    inner.help = {};
  }
  return inner;
}

}  // namespace detail

/// An OptionList is a struct with a list of its members: visit_options(options, f) calls f(info, member) once for each
/// member, in the order of a fingerprint. A member may itself be such a struct.
template <class S>
concept OptionList = requires(S& options) {
  visit_options(options, detail::AnyMember{});
};

/// Calls f(info, value) for each member that is not an options struct; the members of nested structs are included.
template <OptionList S, class F>
constexpr void visit_values(S& options, const F& f, const OptionInfo& outer = {}) {
  visit_options(options, [&]<class Member>(const OptionInfo& info, Member& member) {
    const OptionInfo whole = detail::within(outer, info);
    if constexpr (OptionList<Member>) {
      visit_values(member, f, whole);
    } else {
      f(whole, member);
    }
  });
}

}  // namespace maestro
