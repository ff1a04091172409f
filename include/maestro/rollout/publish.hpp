#pragma once

/// @file
/// The weights of a policy in a folder that a rollout server reads.

#include <string>
#include <type_traits>

#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/model/weights.hpp"
#include "maestro/rollout/server.hpp"

namespace maestro {

/// Gives the form of the weights that a policy over text publishes to a server: adapters if it trains adapters, else
/// all of its weights.
template <class P>
constexpr WeightForm weight_form() {
  const bool whole = std::is_same_v<typename P::weights_type, ModelWeights<typename P::scalar_type>>;
  return whole ? WeightForm::whole : WeightForm::adapters;
}

/// Writes the weights that a policy over text publishes to a server: a model folder, or adapters in PEFT's layout. The
/// folder appears in one step, complete.
/// @param base     folder or name of the model that adapters belong to.
/// @param options  format of whole weights; F32 keeps every bit.
/// @throws IoError if a file cannot be written; what save_model and save_adapters throw.
template <class P>
void write_weights(const P& policy, const std::string& folder, const std::string& base,
                   const SaveOptions& options = {}) {
  if constexpr (weight_form<P>() == WeightForm::whole) {
    save_model(folder, policy.weights(), policy.tokenizer(), options);
  } else {
    save_adapters(folder, policy.weights().factors(), base);
  }
}

}  // namespace maestro
