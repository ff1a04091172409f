#pragma once

/// @file
/// Settings written once: each settings struct has one list of its members, from which the command line's options, the
/// fingerprint of a run and the like are derived. Neutral.

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace maestro {

/// When a fingerprint names a setting, from the most to the least often.
enum class Recorded : std::uint8_t {
  always,
  unless_default,  ///< few runs touch it
  never,           ///< it has no effect, or something else in the fingerprint tells it
};

/// How a fingerprint writes an enum.
enum class EnumAs : std::uint8_t { name, number };

/// What the list of a settings struct says of one member.
struct OptionInfo {
  std::string_view name;  ///< TRL's where it has one, words joined by '_'; of the members inside, where it is a struct
  std::string_view help{};                     ///< for --help, "{}" stands for `values`; empty: set by programs only
  std::string_view group{};                    ///< the heading of --help that it stands under
  std::span<const std::string_view> values{};  ///< the names that an enum or a text chooses from, in the enum's order
  std::string_view key{};                      ///< its key in a fingerprint, where that is not `name`
  std::string_view list{};                     ///< the list of a fingerprint that its value joins, in place of a key
  Recorded recorded = Recorded::always;
  EnumAs enum_as = EnumAs::name;  ///< of an enum that has `values`; one without is a number
};

/// S is T or const T: what a list of T's members takes.
template <class S, class T>
concept OptionsOf = std::same_as<std::remove_const_t<S>, T>;

namespace detail {

/// What a list can be asked with; no lambda, which nvcc does not take in a constraint.
struct AnyMember {
  template <class Member>
  constexpr void operator()(const OptionInfo&, Member&) const {}
};

/// What holds for a member of a struct that is a member itself: the outer group where it has none, and the outer list,
/// which only programs set.
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

/// A struct with a list of its members: visit_options(settings, f) calls f(info, member) once for each member, in the
/// order of a fingerprint; a member may be such a struct itself.
template <class S>
concept OptionList = requires(S& options) {
  visit_options(options, detail::AnyMember{});
};

/// Calls f(info, value) for each member that is no settings struct, those of the structs inside included.
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
