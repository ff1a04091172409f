#include <string_view>

#include "maestro/reward/reward_set.hpp"

struct Nameless {
#if defined(MAESTRO_CORRECT)
  static constexpr std::string_view name = "nameless";
#endif
  float operator()(const maestro::Completion&) const { return 0; }
};

using Rewards = maestro::RewardSet<Nameless>;
static_assert(Rewards::size == 1);
