// The policies of the documentation, from its pages: made from the Markdown by tests/CMakeLists.txt.

#include "policy/laws.hpp"

#define main coin_page
#include "pages/policy.hpp"
#undef main
#define main watering_page
#include "pages/policy_tutorial.hpp"
#undef main

BOOST_AUTO_TEST_SUITE(pages)

BOOST_AUTO_TEST_CASE(coin_keeps_the_laws) {
  std::vector<Prompt> prompts(4);
  for (std::size_t n = 0; n < prompts.size(); ++n) prompts[n].row = static_cast<std::int64_t>(n);
  Coin coin;
  coin.visit([](auto p) { p.values[0] = 0.7; });
  laws::generates(coin, prompts, laws::sampling(8));
  laws::log_probs_agree(coin, prompts, laws::sampling(), 1e-6);
  laws::copies_and_gradients(coin, prompts, laws::sampling());
  laws::differentiates<float>(coin, coin.generate(prompts, laws::sampling(), {}), 1, 1e-4, 1e-2);
}

BOOST_AUTO_TEST_CASE(watering_keeps_the_laws) {
  const std::vector<Prompt> beds = garden();
  Watering watering;
  laws::generates(watering, beds, laws::sampling(5));
  laws::log_probs_agree(watering, beds, laws::sampling(), 1e-6);
  laws::copies_and_gradients(watering, beds, laws::sampling());
  laws::differentiates<float>(watering, watering.generate(beds, laws::sampling(), {}), 1, 1e-3, 1e-2);
}

BOOST_AUTO_TEST_SUITE_END()
