#pragma once

/// @file
/// What the compile-time refusals of the concepts share. Neutral.

namespace maestro::detail {

/// False for every T: the condition of a static_assert that is reached for the wrong types only.
template <class T>
inline constexpr bool refused = false;

/// Whether an optional member is not there, or can be called: one in another form is refused, never passed over.
/// @param named   whether there is a member of that name, in any form
/// @param called  whether it can be called as its concept says
constexpr bool absent_or_fit(bool named, bool called) { return called || !named; }

}  // namespace maestro::detail
