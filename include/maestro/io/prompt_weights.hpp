#pragma once

/// @file
/// Reward weights in a column of a prompt file.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/json.hpp"

namespace maestro {

namespace detail {

/// Reads the weights (K) of one prompt from its field `column`.
inline void parse_weights(const JsonFields& fields, const std::string& column,
                          std::span<const std::string_view> rewards, std::span<float> weights) {
  const std::string wanted = "the weights of " + join_names(rewards) +
                             ": an array of that many numbers in this order, or an object of a number for each";
  if (!fields.has(column)) {
    throw BadFile(fields.file() + ": field '" + column + "' is missing, expected " + wanted);
  }
  const Json& given = fields.at(column);
  if (!(given.is_array() || given.is_object()) || given.size() != rewards.size()) fields.fail(column, wanted);
  for (std::size_t k = 0; k < rewards.size(); ++k) {
    const std::string name(rewards[k]);
    if (given.is_object() && !given.contains(name)) fields.fail(column, wanted);
    const Json& value = given.is_object() ? given[name] : given[k];
    if (!value.is_number()) fields.fail(column, wanted);
    weights[k] = value.get<float>();
    if (!std::isfinite(weights[k])) fields.fail(column, "finite numbers");
  }
  if (std::all_of(weights.begin(), weights.end(), [](float w) { return w == 0.0f; })) {
    fields.fail(column, "weights of which one at least is not 0, since nothing would judge the responses");
  }
}

}  // namespace detail

/// Reads the reward weights of prompts from a field of their data lines. The field is either an array of K numbers in
/// the order of `rewards`, or an object with a number for each of their names. The result is for PromptWeights
/// (conductor/rules.hpp).
/// @param prompts  prompts of load_prompts.
/// @param rewards  (K) names.
/// @param file     the prompt file, named in messages.
/// @return (prompts x K), row i for prompt i; any sign, not normalized.
/// @throws BadFile naming file, line and remedy for a prompt without the field, another number of weights, other names,
///   a value that is not a finite number, or weights that are all 0.
inline Matrix<float> prompt_weights(std::span<const Prompt> prompts, const std::string& column,
                                    std::span<const std::string_view> rewards, const std::string& file) {
  Matrix<float> weights(prompts.size(), rewards.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::string place = file + ":" + std::to_string(prompts[i].line);
    const std::string& data = prompts[i].metadata;
    const Json json = parse_json(data.empty() ? "{}" : data, place);
    detail::parse_weights(JsonFields(json, place), column, rewards, weights.row(i));
  }
  return weights;
}

}  // namespace maestro
