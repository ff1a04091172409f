#pragma once

// Laws of the Policy concept, run on every model of it.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "maestro/policy/policy.hpp"
#include "maestro/policy/snapshot.hpp"

namespace laws {

using maestro::GroupRange;
using maestro::Rollouts;

inline maestro::Sampling sampling(std::size_t group = 3, std::size_t length = 6, double temperature = 0.8) {
  maestro::Sampling s;
  s.num_generations = group;
  s.max_completion_length = length;
  s.temperature = temperature;
  return s;
}

/// Tokens of the groups in range.
inline std::size_t tokens_of(const Rollouts& rollouts, GroupRange range) {
  const auto at = [&](std::size_t g) { return rollouts.tokens.offsets()[rollouts.groups.offsets()[g]]; };
  return at(range.last) - at(range.first);
}

/// Whether two responses are the same actions, tokens or floats.
inline bool same_response(const Rollouts& a, std::size_t i, const Rollouts& b, std::size_t j) {
  const auto equal = [](auto x, auto y) { return std::equal(x.begin(), x.end(), y.begin(), y.end()); };
  if (!equal(a.tokens.row(i), b.tokens.row(j))) return false;
  const auto x = a.completion(i).actions;
  const auto y = b.completion(j).actions;
  for (std::size_t t = 0; t < x.rows(); ++t) {
    if (!equal(x.row(t), y.row(t))) return false;
  }
  return x.rows() == y.rows();
}
inline bool same_responses(const Rollouts& a, const Rollouts& b) {
  return a.tokens == b.tokens && a.actions == b.actions;
}

template <class P>
std::vector<double> gradients_of(P& policy) {
  std::vector<double> result;
  policy.visit([&](auto p) {
    for (const auto value : p.gradients) result.push_back(static_cast<double>(value));  // g++ 12 warns of insert()
  });
  return result;
}
template <class P>
std::vector<double> values_of(P& policy) {
  std::vector<double> result;
  policy.visit([&](auto p) {
    for (const auto value : p.values) result.push_back(static_cast<double>(value));  // g++ 12 warns of insert()
  });
  return result;
}

/// Shapes of generated rollouts, and that the same key draws the same again.
template <maestro::Policy P>
void generates(P policy, std::span<const maestro::Prompt> prompts, const maestro::Sampling& how) {
  const maestro::DrawKey key{.seed = 5, .step = 2};
  const Rollouts rollouts = policy.generate(prompts, how, key);
  const std::size_t rows = prompts.size() * how.num_generations;
  BOOST_TEST(rollouts.prompts.size() == prompts.size());
  BOOST_TEST(rollouts.groups.count() == prompts.size());
  BOOST_TEST(rollouts.groups.rows() == rows);
  BOOST_TEST(rollouts.size() == rows);
  BOOST_TEST(rollouts.prompt_tokens.rows() == prompts.size());
  BOOST_TEST(rollouts.finish.size() == rows);
  BOOST_TEST(rollouts.texts.size() == rows);
  BOOST_TEST(rollouts.hidden.rows() == rows);
  BOOST_TEST(rollouts.hidden.cols() == policy.hidden_size());
  if (!rollouts.prompt_hidden.empty()) {
    BOOST_TEST(rollouts.prompt_hidden.rows() == prompts.size());
    BOOST_TEST(rollouts.prompt_hidden.cols() == policy.hidden_size());
    for (const float h : rollouts.prompt_hidden.flat()) BOOST_TEST(std::isfinite(h));
  }
  BOOST_TEST(rollouts.log_probs.size() == rollouts.tokens.size());
  BOOST_TEST(rollouts.entropies.size() == rollouts.tokens.size());
  BOOST_TEST(rollouts.temperature == how.temperature);
  for (std::size_t i = 0; i < rows; ++i) {
    BOOST_TEST(rollouts.tokens.length(i) >= 1u);
    BOOST_TEST(rollouts.tokens.length(i) <= how.max_completion_length);
  }
  // Float actions have densities, which may exceed 1, and no token that could be misread.
  const bool floats = !rollouts.actions.empty();
  for (const float p : rollouts.log_probs) BOOST_TEST((std::isfinite(p) && (floats || p <= 0.0f)));
  for (const float h : rollouts.entropies) BOOST_TEST((std::isfinite(h) && (floats || h >= 0.0f)));
  for (const std::int32_t token : rollouts.tokens.flat()) BOOST_TEST((token == maestro::no_token) == floats);
  for (const std::string& text : rollouts.texts) BOOST_TEST((!floats || text.empty()));
  if (floats) BOOST_TEST(rollouts.actions.rows() == rollouts.tokens.size());
  const Rollouts again = policy.generate(prompts, how, key);
  BOOST_TEST(same_responses(again, rollouts));
  BOOST_TEST((again.log_probs == rollouts.log_probs));
  BOOST_TEST((again.hidden == rollouts.hidden));
  const Rollouts other = policy.generate(prompts, how, {.seed = 6, .step = 2});
  BOOST_TEST(!same_responses(other, rollouts));
  // A data row that comes again in the batch draws anew.
  std::vector<maestro::Prompt> repeated(prompts.begin(), prompts.end());
  repeated.push_back(prompts[0]);
  const Rollouts twice = policy.generate(repeated, how, key);
  bool same = true;
  for (std::size_t m = 0; m < how.num_generations; ++m) {
    same = same && same_response(twice, m, twice, rows + m);
  }
  BOOST_TEST(!same);
}

/// forward == log_probs bit for bit; both close to what generate reported; micro-batches agree with the whole.
template <maestro::Policy P>
void log_probs_agree(P policy, std::span<const maestro::Prompt> prompts, const maestro::Sampling& how, double gap) {
  const Rollouts rollouts = policy.generate(prompts, how, {.seed = 3});
  const GroupRange all{0, prompts.size()};
  std::vector<float> forward(rollouts.tokens.size());
  std::vector<float> entropies(rollouts.tokens.size());
  std::vector<float> fixed(rollouts.tokens.size());
  policy.forward(rollouts, all, forward, entropies);
  const P& constant = policy;
  constant.log_probs(rollouts, all, fixed);
  BOOST_TEST((forward == fixed));
  for (std::size_t t = 0; t < forward.size(); ++t) {
    BOOST_TEST(std::abs(forward[t] - rollouts.log_probs[t]) <= gap);
    BOOST_TEST(std::abs(entropies[t] - rollouts.entropies[t]) <= gap);
  }
  std::size_t at = 0;
  for (std::size_t g = 0; g < prompts.size(); ++g) {
    std::vector<float> part(tokens_of(rollouts, {g, g + 1}));
    policy.forward(rollouts, {g, g + 1}, part, {});
    std::vector<float> fixed_part(part.size());
    constant.log_probs(rollouts, {g, g + 1}, fixed_part);
    BOOST_TEST((fixed_part == part));
    for (const float value : part) BOOST_TEST(std::abs(value - forward[at++]) <= gap);
  }
  std::vector<float> wrong(rollouts.tokens.size() + 1);
  BOOST_CHECK_THROW(policy.forward(rollouts, all, wrong, {}), maestro::BadArgument);
  BOOST_CHECK_THROW(policy.forward(rollouts, {0, prompts.size() + 1}, forward, {}), maestro::BadArgument);
}

/// Copies do not share parameters; backward accumulates; zero_gradients clears; a snapshot stays and synchronizes.
template <maestro::Policy P>
void copies_and_gradients(P policy, std::span<const maestro::Prompt> prompts, const maestro::Sampling& how) {
  const Rollouts rollouts = policy.generate(prompts, how, {.seed = 9});
  const GroupRange all{0, prompts.size()};
  std::vector<float> before(rollouts.tokens.size());
  std::vector<float> after(rollouts.tokens.size());
  std::vector<float> ones(rollouts.tokens.size(), 1.0f);
  policy.zero_gradients();
  policy.forward(rollouts, all, before, {});
  policy.backward(ones, {});
  BOOST_CHECK_THROW(policy.backward(ones, {}), maestro::BadArgument);  // once per forward
  const std::vector<double> once = gradients_of(policy);
  policy.forward(rollouts, all, before, {});
  policy.backward(ones, {});
  const std::vector<double> twice = gradients_of(policy);
  double largest = 0.0;
  BOOST_TEST(once.size() == twice.size());
  for (std::size_t i = 0; i < once.size(); ++i) {
    BOOST_TEST(std::abs(twice[i] - 2.0 * once[i]) <= 1e-3 * (1.0 + std::abs(once[i])));
    largest = std::max(largest, std::abs(once[i]));
  }
  BOOST_TEST(largest > 0.0);
  policy.zero_gradients();
  for (const double g : gradients_of(policy)) BOOST_TEST(g == 0.0);

  P copy = policy;
  maestro::Snapshot<P> snapshot(policy);
  copy.visit([](auto p) {
    for (auto& value : p.values) value = 2 * value + decltype(+value)(0.5);  // zeros change too
  });
  std::vector<float> now(rollouts.tokens.size());
  policy.log_probs(rollouts, all, now);
  BOOST_TEST((now == before));
  copy.log_probs(rollouts, all, after);
  BOOST_TEST(!(after == before));
  snapshot.log_probs(rollouts, all, now);
  BOOST_TEST((now == before));
  snapshot.synchronize(copy);
  snapshot.log_probs(rollouts, all, now);
  BOOST_TEST((now == after));
}

/// Finite differences of sum(a log_probs) + sum(b entropies) for every `stride`-th parameter; P's scalar is double.
/// @tparam Value  of the spans; with float, values are rounded, so that `step` must be larger and `tolerance` too.
template <class Value = double, maestro::Policy P>
void differentiates(P policy, const Rollouts& rollouts, std::size_t stride, double tolerance, double step = 1e-5) {
  static_assert(std::is_same_v<typename P::scalar_type, double>,
                "laws::differentiates: finite differences need parameters of double; make the policy a template of its "
                "scalar_type and test it with double");
  const GroupRange all{0, rollouts.groups.count()};
  const std::size_t count = tokens_of(rollouts, all);
  std::vector<Value> a(count);
  std::vector<Value> b(count);
  for (std::size_t t = 0; t < count; ++t) {
    a[t] = static_cast<Value>(std::sin(1.0 + 2.0 * static_cast<double>(t)));
    b[t] = static_cast<Value>(0.3 * std::cos(0.5 + 3.0 * static_cast<double>(t)));
  }
  std::vector<Value> log_probs(count);
  std::vector<Value> entropies(count);
  const auto value = [&] {
    policy.forward(rollouts, all, log_probs, entropies);
    double sum = 0.0;
    for (std::size_t t = 0; t < count; ++t) {
      sum += static_cast<double>(a[t]) * static_cast<double>(log_probs[t]) +
             static_cast<double>(b[t]) * static_cast<double>(entropies[t]);
    }
    return sum;
  };
  policy.zero_gradients();
  value();
  policy.backward(std::span<const Value>(a), std::span<const Value>(b));
  std::size_t seen = 0;
  std::size_t compared = 0;
  policy.visit([&](auto p) {
    for (std::size_t i = 0; i < p.values.size(); ++i) {
      if (seen++ % stride != 0) continue;
      const double kept = p.values[i];
      p.values[i] = kept + step;
      const double up = value();
      p.values[i] = kept - step;
      const double down = value();
      p.values[i] = kept;
      const double slope = (up - down) / (2.0 * step);
      BOOST_TEST(std::abs(slope - p.gradients[i]) <= tolerance * (1.0 + std::abs(slope)),
                 p.name << "[" << i << "]: " << p.gradients[i] << " against " << slope);
      ++compared;
    }
  });
  BOOST_TEST(compared > 0u);
}

}  // namespace laws
