#pragma once

/// @file
/// Optional members that policies and rewards have alike. For each: can it be called, and is there a member function of
/// that name in any form? The address of a template cannot be taken, so a template in another form goes unseen.

#include <span>
#include <string_view>
#include <type_traits>

#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"

namespace maestro::detail {

template <class T>
concept ChecksPrompts = requires(const T& part, std::span<const Prompt> prompts, const Sampling& sampling) {
  part.check_prompts(prompts, sampling);
};
template <class T>
concept NamesCheckPrompts = requires {
  requires std::is_member_function_pointer_v<decltype(&T::check_prompts)>;
};

/// KeepsFigure has the form of what visit_figures is called with.
struct KeepsFigure {
  void operator()(std::string_view name, double value) const;
};
template <class T>
concept VisitsFigures = requires(const T& part, KeepsFigure keep) {
  part.visit_figures(keep);
};
template <class T>
concept NamesFigures = requires {
  requires std::is_member_function_pointer_v<decltype(&T::visit_figures)>;
}
|| requires(T& part, KeepsFigure keep) { part.visit_figures(keep); };

}  // namespace maestro::detail
