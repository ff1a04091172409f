#pragma once

// How many members an aggregate has, and whether its list (visit_options) has each of them.

#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <set>
#include <utility>

#include "maestro/core/names.hpp"
#include "maestro/core/option.hpp"

namespace member_count {

/// Initializes anything. The conversion is from a constant, so that std::optional's own constructor, which takes
/// anything too, is the better match.
struct Anything {
  template <class T>
  operator T() const&;
};

template <class T, std::size_t... i>
constexpr bool takes(std::index_sequence<i...>) {
  return requires { T{(static_cast<void>(i), Anything{})...}; };
}

/// The most values that T can be initialized from.
template <class T, std::size_t count = 0>
constexpr std::size_t members() {
  if constexpr (takes<T>(std::make_index_sequence<count + 1>{})) {
    return members<T, count + 1>();
  } else {
    return count;
  }
}

/// Every member of T is in its list, once, under a name.
template <maestro::OptionList T>
void check_list() {
  BOOST_TEST_CONTEXT(maestro::type_name<T>()) {
    T options;
    std::set<const void*> places;
    std::size_t visits = 0;
    visit_options(options, [&](const maestro::OptionInfo& info, const auto& member) {
      ++visits;
      places.insert(&member);
      BOOST_TEST(!info.name.empty());
    });
    BOOST_TEST(visits == members<T>());
    BOOST_TEST(places.size() == members<T>());
  }
}

}  // namespace member_count
