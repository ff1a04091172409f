#include "maestro/policy/sampler.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "maestro/policy/demonstrations.hpp"
#include "policy/allocation_counter.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(sampler)

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Which of `logits` are ever drawn in `draws` draws.
std::vector<int> histogram(const Sampling& sampling, std::span<const float> logits, std::size_t draws) {
  Sampler<float> sampler(sampling);
  std::vector<int> counts(logits.size(), 0);
  const RandomStream stream = token_stream({.seed = 11, .step = 4}, 7, 2);
  for (std::uint32_t t = 0; t < draws; ++t) ++counts[static_cast<std::size_t>(sampler.draw(logits, stream, t).token)];
  return counts;
}
std::vector<int> support(const Sampling& sampling, std::span<const float> logits) {
  std::vector<int> counts = histogram(sampling, logits, 4000);
  for (int& c : counts) c = c > 0 ? 1 : 0;
  return counts;
}

struct Bytes {
  std::vector<std::int32_t> encode(std::string_view text) const { return {text.begin(), text.end()}; }
  std::string decode(std::span<const std::int32_t> tokens) const {
    std::string text;
    for (const std::int32_t t : tokens) {
      if (t < 128) text += static_cast<char>(t);
    }
    return text;
  }
  std::size_t vocabulary_size() const { return 129; }
  std::int32_t end_token() const { return 128; }
};

}  // namespace

// Hugging Face's RepetitionPenaltyLogitsProcessor, before temperature: z / p above 0, z p below.
BOOST_AUTO_TEST_CASE(tokens_seen_are_held_down_in_the_draw_alone) {
  const std::vector<float> logits{1.0f, 0.8f, -0.5f, -0.4f};
  const std::vector<std::int32_t> seen{0, 2};
  const auto draw = [&](const Sampling& sampling, std::uint32_t position) {
    return Sampler<float>(sampling).draw(logits, token_stream({.seed = 3}, 0, 0), position, seen);
  };
  BOOST_TEST(draw({.decoding = Decoding::greedy}, 0).token == 0);
  const SampledToken held = draw({.decoding = Decoding::greedy, .repetition_penalty = 1.5}, 0);
  BOOST_TEST(held.token == 1);
  const double all = std::exp(1.0) + std::exp(0.8) + std::exp(-0.5) + std::exp(-0.4);
  BOOST_TEST(std::abs(held.log_prob - std::log(std::exp(0.8) / all)) < 1e-6);
  // The logits at penalty 2 are 0.5, 0.8, -1, -0.4.
  std::vector<double> counts(4);
  Sampler<float> sampler({.repetition_penalty = 2.0});
  for (std::uint32_t t = 0; t < 20000; ++t) {
    const SampledToken drawn = sampler.draw(logits, token_stream({.seed = 5}, 0, 0), t, seen);
    counts[static_cast<std::size_t>(drawn.token)] += 1.0 / 20000;
  }
  const std::vector<double> wanted{std::exp(0.5), std::exp(0.8), std::exp(-1.0), std::exp(-0.4)};
  const double sum = wanted[0] + wanted[1] + wanted[2] + wanted[3];
  for (std::size_t v = 0; v < 4; ++v) BOOST_TEST(std::abs(counts[v] - wanted[v] / sum) < 0.015);
  BOOST_CHECK_THROW(Sampler<float>({.repetition_penalty = 0.9}), BadArgument);
}

BOOST_AUTO_TEST_CASE(log_prob_and_entropy_are_those_after_temperature_before_filters) {
  // p = 0.6439139 0.2368827 0.0871443 0.0320586 0.0000005; temperature 0.5 doubles the halved logits.
  const std::vector<float> logits{1.0f, 0.5f, 0.0f, -0.5f, -6.0f};
  Sampling sampling{.temperature = 0.5, .top_k = 1};
  Sampler<float> sampler(sampling);
  const SampledToken drawn = sampler.draw(logits, token_stream({}, 0, 0), 0);
  BOOST_TEST(drawn.token == 0);
  BOOST_TEST(std::abs(drawn.log_prob - std::log(0.6439139)) < 1e-6);
  double entropy = 0.0;
  for (const double p : {0.6439139, 0.2368827, 0.0871443, 0.0320586, 0.0000005}) entropy -= p * std::log(p);
  BOOST_TEST(std::abs(drawn.entropy - entropy) < 1e-5);
  Sampler<double> precise(sampling);
  const std::vector<double> wide(logits.begin(), logits.end());
  BOOST_TEST(std::abs(precise.draw(wide, token_stream({}, 0, 0), 0).log_prob - drawn.log_prob) < 1e-6);
}

BOOST_AUTO_TEST_CASE(draws_follow_the_distribution) {
  std::vector<float> logits(19);
  std::vector<double> p(logits.size());
  double total = 0.0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    logits[i] = std::sin(static_cast<float>(3 * i));
    total += p[i] = std::exp(static_cast<double>(logits[i]) / 1.3);
  }
  constexpr std::size_t draws = 50000;
  const std::vector<int> counts = histogram({.temperature = 1.3}, logits, draws);
  double chi_square = 0.0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double expected = draws * p[i] / total;
    chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  BOOST_TEST(chi_square < 42.3);  // 18 degrees of freedom, one in a thousand
}

BOOST_AUTO_TEST_CASE(filters_keep_what_they_say) {
  // p = 0.4, 0.3, 0.2, 0.1 in the order of indices 2, 0, 3, 1
  const std::vector<float> logits{std::log(0.3f), std::log(0.1f), std::log(0.4f), std::log(0.2f)};
  using Kept = std::vector<int>;
  BOOST_TEST((support({}, logits) == Kept{1, 1, 1, 1}));
  BOOST_TEST((support({.top_k = 2}, logits) == Kept{1, 0, 1, 0}));
  BOOST_TEST((support({.top_k = 9}, logits) == Kept{1, 1, 1, 1}));
  BOOST_TEST((support({.top_p = 0.39}, logits) == Kept{0, 0, 1, 0}));
  BOOST_TEST((support({.top_p = 0.65}, logits) == Kept{1, 0, 1, 0}));
  BOOST_TEST((support({.top_p = 0.75}, logits) == Kept{1, 0, 1, 1}));
  BOOST_TEST((support({.top_p = 1e-9}, logits) == Kept{0, 0, 1, 0}));
  BOOST_TEST((support({.min_p = 0.6}, logits) == Kept{1, 0, 1, 0}));
  BOOST_TEST((support({.min_p = 0.3}, logits) == Kept{1, 0, 1, 1}));
  // top-p counts the share among what top-k kept: 0.4 / 0.7 = 0.571 reaches 0.56
  BOOST_TEST((support({.top_k = 2, .top_p = 0.56}, logits) == Kept{0, 0, 1, 0}));
  BOOST_TEST((support({.top_k = 2, .top_p = 0.58}, logits) == Kept{1, 0, 1, 0}));
  // temperature comes first: at 0.25 the shares are 0.723, 0.229, 0.045, 0.003
  BOOST_TEST((support({.temperature = 0.25, .top_p = 0.7}, logits) == Kept{0, 0, 1, 0}));
  // ties go to the lowest index
  const std::vector<float> equal(5, 1.0f);
  BOOST_TEST((support({.top_k = 2}, equal) == Kept{1, 1, 0, 0, 0}));
  BOOST_TEST((support({.top_p = 0.5}, equal) == Kept{1, 1, 1, 0, 0}));
  // a filter that removes nothing draws the same tokens as none
  BOOST_TEST((histogram({.min_p = 1e-6}, logits, 500) == histogram({}, logits, 500)));
}

BOOST_AUTO_TEST_CASE(greedy_takes_the_lowest_of_the_most_probable) {
  const std::vector<float> logits{-infinity, 2.0f, 5.0f, 5.0f};
  Sampler<float> sampler({.decoding = Decoding::greedy});
  BOOST_TEST(sampler.draw(logits, token_stream({}, 0, 0), 3).token == 2);
}

BOOST_AUTO_TEST_CASE(infinite_and_broken_logits) {
  const std::vector<float> barred{-infinity, 0.0f, -infinity, 0.0f};
  BOOST_TEST((support({}, barred) == std::vector<int>{0, 1, 0, 1}));
  BOOST_TEST((support({.top_k = 3}, barred) == std::vector<int>{0, 1, 0, 1}));
  Sampler<float> sampler({});
  const SampledToken drawn = sampler.draw(barred, token_stream({}, 0, 0), 0);
  BOOST_TEST(std::abs(drawn.entropy - std::log(2.0)) < 1e-6);
  for (const std::vector<float>& logits :
       {std::vector<float>{0.0f, std::nanf(""), 1.0f}, {-infinity, -infinity}, {0.0f, infinity}, {std::nanf("")}}) {
    BOOST_CHECK_EXCEPTION(sampler.draw(logits, token_stream({}, 17, 1), 5), BadData, [](const BadData& e) {
      return std::string(e.what()).find("data row 17") != std::string::npos;
    });
  }
}

BOOST_AUTO_TEST_CASE(settings_out_of_domain_are_refused) {
  BOOST_CHECK_EXCEPTION(check(Sampling{.temperature = 0.0}), BadArgument, [](const BadArgument& e) {
    return std::string(e.what()).find("Decoding::greedy") != std::string::npos;
  });
  BOOST_CHECK_THROW(check(Sampling{.temperature = std::nan("")}), BadArgument);
  BOOST_CHECK_THROW(check(Sampling{.top_p = 0.0}), BadArgument);
  BOOST_CHECK_THROW(check(Sampling{.top_p = 1.1}), BadArgument);
  BOOST_CHECK_THROW(check(Sampling{.min_p = 1.0}), BadArgument);
  BOOST_CHECK_THROW(check(Sampling{.num_generations = 0}), BadArgument);
  BOOST_CHECK_THROW(check(Sampling{.max_completion_length = 0}), BadArgument);
  BOOST_CHECK_NO_THROW(check(Sampling{}));
}

BOOST_AUTO_TEST_CASE(a_draw_allocates_nothing) {
  std::vector<float> logits(1000);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i));
  Sampler<float> sampler({.top_k = 50, .top_p = 0.9, .min_p = 0.01});
  const RandomStream stream = token_stream({}, 0, 0);
  sampler.draw(logits, stream, 0);
  const std::size_t before = allocation::count();
  for (std::uint32_t t = 1; t < 50; ++t) sampler.draw(logits, stream, t);
  BOOST_TEST(allocation::count() == before);
}

BOOST_AUTO_TEST_CASE(softmax_by_blocks_equals_softmax_at_once) {
  std::vector<float> logits(1537);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = 20.0f * std::sin(static_cast<float>(i * i));
  SoftmaxState whole;
  add_logits<float>(whole, logits);
  SoftmaxState parts;
  for (std::size_t begin = 0; begin < logits.size(); begin += 100) {
    add_logits<float>(parts, std::span<const float>(logits).subspan(begin, std::min<std::size_t>(100, 1537 - begin)));
  }
  double sum = 0.0;
  double weighted = 0.0;
  for (const float z : logits) {
    sum += std::exp(static_cast<double>(z) - whole.max);
    weighted += std::exp(static_cast<double>(z) - whole.max) * (static_cast<double>(z) - whole.max);
  }
  BOOST_TEST(std::abs(whole.sum / sum - 1.0) < 3e-7);
  BOOST_TEST(std::abs(parts.sum / sum - 1.0) < 3e-7);
  BOOST_TEST(std::abs(whole.entropy() - (std::log(sum) - weighted / sum)) < 1e-5);
  BOOST_TEST(std::abs(parts.entropy() - whole.entropy()) < 1e-5);
  for (float x = -86.9f; x <= 0.0f; x += 0.0371f) {
    BOOST_TEST(std::abs(fast_exp(x) / std::exp(static_cast<double>(x)) - 1.0) < 2.4e-7);
  }
}

BOOST_AUTO_TEST_CASE(demonstrations_are_rollouts) {
  const std::vector<Demonstration> pairs{{"ab", "xyz"}, {"c", ""}, {"d", "long"}};
  const Rollouts r = demonstrations(std::span<const Demonstration>(pairs), Bytes{}, 4);
  BOOST_TEST(r.size() == 3u);
  BOOST_TEST(r.tokens.length(0) == 4u);
  BOOST_TEST(r.tokens.row(0)[3] == 128);
  BOOST_TEST(r.tokens.length(1) == 1u);
  BOOST_TEST((r.finish[1] == Finish::stop));
  BOOST_TEST((r.finish[2] == Finish::length));
  BOOST_TEST(r.completion(2).text == "long");
  BOOST_TEST(r.prompt_tokens.length(0) == 2u);
  BOOST_TEST(r.log_probs.size() == 9u);
}

BOOST_AUTO_TEST_SUITE_END()
