#pragma once

/// @file
/// Helpers that the compile-time checks of the concepts share. Neutral.

namespace maestro::detail {

/// Is false for every T. It is the condition of a static_assert that only unsuitable types reach.
template <class T>
inline constexpr bool refused = false;

/// Tells whether an optional member is absent or can be called. A member in another form is refused, never ignored.
/// @param named   whether a member of that name exists, in any form.
/// @param called  whether it can be called as its concept says.
constexpr bool absent_or_fit(bool named, bool called) { return called || !named; }

}  // namespace maestro::detail
