#pragma once

/// @file
/// The reward model of the example programs, and its folder.

#include <string>
#include <utility>

#include "common/types.hpp"
#include "maestro/hub/classifier_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/model/classifier.hpp"

namespace maestro::examples {

using Preferences = RewardModel<float, Backend, Tokenizer>;

/// As save_classifier.
inline void save_reward_model(const std::string& folder, const Preferences& model) {
  save_classifier<float>(folder, model.backbone(), model.head(), model.tokenizer());
}

/// As load_classifier.
inline Preferences load_reward_model(const std::string& folder) {
  auto weights = load_classifier<float>(folder);
  return Preferences(std::move(weights.backbone), std::move(weights.score), load_tokenizer(folder));
}

}  // namespace maestro::examples
