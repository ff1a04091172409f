#pragma once

/// @file
/// Losses of a reward model, with their gradients by its scores.

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include "maestro/core/error.hpp"

namespace maestro {

/// PreferencePair names two scored responses to one prompt by their indices in the batch.
struct PreferencePair {
  std::size_t chosen = 0;
  std::size_t rejected = 0;
};

/// Computes the mean over pairs of -log sigmoid(s_chosen - s_rejected), in nats (Bradley and Terry).
/// @param scores    (B)
/// @param d_scores  (B) overwritten with the gradient of the loss; a response may be in several pairs.
/// @throws BadArgument if there is no pair, if a pair names a response outside the batch, or if sizes differ.
template <class T>
double bradley_terry_loss(std::span<const T> scores, std::span<const PreferencePair> pairs,
                          std::type_identity_t<std::span<T>> d_scores) {
  require(!pairs.empty(), "bradley_terry_loss: at least one pair is needed");
  require(d_scores.size() == scores.size(), "bradley_terry_loss: d_scores needs one value per score");
  for (T& d : d_scores) d = T(0);
  const double share = 1.0 / static_cast<double>(pairs.size());
  double loss = 0.0;
  for (const auto& [chosen, rejected] : pairs) {
    if (chosen >= scores.size() || rejected >= scores.size()) {
      throw BadArgument("bradley_terry_loss: pair (" + std::to_string(chosen) + ", " + std::to_string(rejected) +
                        ") is outside a batch of " + std::to_string(scores.size()));
    }
    const double margin = static_cast<double>(scores[chosen]) - static_cast<double>(scores[rejected]);
    // log(1 + exp(-m)) without overflow at either end.
    const double small = std::exp(-std::abs(margin));
    loss += share * (std::log1p(small) + (margin < 0.0 ? -margin : 0.0));
    const double refused = margin < 0.0 ? 1.0 / (1.0 + small) : small / (1.0 + small);
    d_scores[chosen] -= static_cast<T>(share * refused);
    d_scores[rejected] += static_cast<T>(share * refused);
  }
  return loss;
}

/// Computes the mean over responses of (s - target)^2.
/// @param scores    (B)
/// @param targets   (B)
/// @param d_scores  (B) overwritten with the gradient of the loss.
/// @throws BadArgument if there is no score, or if sizes differ.
template <class T>
double squared_error_loss(std::span<const T> scores, std::type_identity_t<std::span<const T>> targets,
                          std::type_identity_t<std::span<T>> d_scores) {
  require(!scores.empty() && targets.size() == scores.size() && d_scores.size() == scores.size(),
          "squared_error_loss: scores, targets and d_scores need the same size, above 0");
  const double share = 1.0 / static_cast<double>(scores.size());
  double loss = 0.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double difference = static_cast<double>(scores[i]) - static_cast<double>(targets[i]);
    loss += share * difference * difference;
    d_scores[i] = static_cast<T>(2.0 * share * difference);
  }
  return loss;
}

}  // namespace maestro
