#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "maestro/core/random.hpp"

BOOST_AUTO_TEST_SUITE(random_streams)

// Known answers of Random123's kat_vectors for philox4x32, 10 rounds.
BOOST_AUTO_TEST_CASE(philox_known_answers) {
  const auto zero = maestro::philox4x32_10({{0, 0, 0, 0}}, 0, 0);
  BOOST_TEST(zero.word[0] == 0x6627e8d5u);
  BOOST_TEST(zero.word[1] == 0xe169c58du);
  BOOST_TEST(zero.word[2] == 0xbc57ac4cu);
  BOOST_TEST(zero.word[3] == 0x9b00dbd8u);
  const auto ones = maestro::philox4x32_10({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u);
  BOOST_TEST(ones.word[0] == 0x408f276du);
  BOOST_TEST(ones.word[1] == 0x41c83b0eu);
  BOOST_TEST(ones.word[2] == 0xa20bc7c6u);
  BOOST_TEST(ones.word[3] == 0x6d5451fdu);
  const auto pi =
      maestro::philox4x32_10({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u);
  BOOST_TEST(pi.word[0] == 0xd16cfe09u);
  BOOST_TEST(pi.word[1] == 0x94fdccebu);
  BOOST_TEST(pi.word[2] == 0x5001e420u);
  BOOST_TEST(pi.word[3] == 0x24126ea1u);
}

BOOST_AUTO_TEST_CASE(every_part_of_the_key_changes_the_draw) {
  const maestro::StreamKey key{
      .seed = 7, .purpose = maestro::Purpose::token_sampling, .step = 3, .row = 5, .response = 2};
  const double base = maestro::RandomStream(key).uniform(11);
  auto other = key;
  other.seed = 7 + (std::uint64_t{1} << 40);
  BOOST_TEST(maestro::RandomStream(other).uniform(11) != base);
  other = key;
  other.purpose = maestro::Purpose::conductor_action;
  BOOST_TEST(maestro::RandomStream(other).uniform(11) != base);
  other = key;
  other.step = 4;
  BOOST_TEST(maestro::RandomStream(other).uniform(11) != base);
  other = key;
  other.row = 6;
  BOOST_TEST(maestro::RandomStream(other).uniform(11) != base);
  other = key;
  other.response = 3;
  BOOST_TEST(maestro::RandomStream(other).uniform(11) != base);
  BOOST_TEST(maestro::RandomStream(key).uniform(12) != base);
  BOOST_TEST(maestro::RandomStream(key).uniform(11) == base);
}

BOOST_AUTO_TEST_CASE(moments_of_draws) {
  const maestro::RandomStream stream({.seed = 1});
  double sum = 0, square = 0, uniform = 0;
  const int n = 40000;
  for (int i = 0; i < n; ++i) {
    const double z = stream.normal(static_cast<std::uint32_t>(i));
    sum += z;
    square += z * z;
    uniform += stream.uniform(static_cast<std::uint32_t>(i));
  }
  BOOST_TEST(std::abs(sum / n) < 0.02);
  BOOST_TEST(std::abs(square / n - 1.0) < 0.03);
  BOOST_TEST(std::abs(uniform / n - 0.5) < 0.01);
}

BOOST_AUTO_TEST_CASE(sampling_skips_zero_weights) {
  const std::vector<double> weights{0.0, 0.3, 0.0, 0.7, 0.0};
  BOOST_TEST(maestro::sample_index(weights.data(), weights.size(), 0.0) == 1u);
  BOOST_TEST(maestro::sample_index(weights.data(), weights.size(), 0.2999) == 1u);
  BOOST_TEST(maestro::sample_index(weights.data(), weights.size(), 0.31) == 3u);
  BOOST_TEST(maestro::sample_index(weights.data(), weights.size(), 0.9999999999999999) == 3u);
}

BOOST_AUTO_TEST_CASE(shuffle_is_a_permutation) {
  std::vector<int> values(100);
  for (int i = 0; i < 100; ++i) values[static_cast<std::size_t>(i)] = i;
  maestro::shuffle(std::span<int>(values), maestro::RandomStream({.seed = 9, .purpose = maestro::Purpose::shuffle}));
  std::vector<bool> seen(100);
  for (const int v : values) seen[static_cast<std::size_t>(v)] = true;
  for (const bool s : seen) BOOST_TEST(s);
  BOOST_TEST(values[0] != 0);
}

BOOST_AUTO_TEST_SUITE_END()
