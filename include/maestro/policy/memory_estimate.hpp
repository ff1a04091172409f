#pragma once

/// @file
/// An estimate of the largest memory that a training run of a transformer policy needs, part by part, before the run
/// begins.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "maestro/model/config.hpp"
#include "maestro/model/layout.hpp"
#include "maestro/model/lora.hpp"
#include "maestro/policy/transformer_policy.hpp"

namespace maestro {

/// ResponseSource says where the responses of a training step come from.
enum class ResponseSource : unsigned char {
  rollouts,    ///< the policy draws them
  references,  ///< the data contain them, and nothing is generated
};

/// ScoresItself says whether the policy also computes log-probs without training: the old log-probs of several updates
/// per batch, or those of held-out references.
enum class ScoresItself : unsigned char { no, yes };

/// MemoryRequest describes a run.
struct MemoryRequest {
  std::size_t value = 4;     ///< of a parameter that is trained, and of all that is computed
  std::uint64_t frozen = 0;  ///< bytes of all frozen matrices (frozen_matrix_bytes), 0: in full; only with LoRA
  const LoraOptions* lora = nullptr;  ///< nullptr: every parameter is trained
  std::size_t copies = 0;             ///< copies of the policy that do not train: KL reference and proxies
  std::size_t kept_gradients = 0;     ///< copies of the gradients; K if the Conductor compares them by reward
  Activations activations = Activations::keep;
  ResponseSource responses = ResponseSource::rollouts;
  ScoresItself scores_itself = ScoresItself::no;
  std::size_t prompts = 8;             ///< of a step (N)
  std::size_t generations = 8;         ///< responses per prompt (G)
  std::size_t prompt_tokens = 0;       ///< of the longest prompt
  std::size_t completion_tokens = 0;   ///< of the longest response
  std::size_t micro_batch_tokens = 0;  ///< of a training pass
  std::size_t step_prompt_tokens = 0;  ///< of the N longest prompts together; 0: N times the longest
  std::size_t step_tokens = 0;         ///< of a step's prompts and responses together; 0: what the sizes above allow
};

/// MemoryPart is one line of an estimate: a name and a number of bytes.
struct MemoryPart {
  std::string name;
  std::uint64_t bytes = 0;
};

/// MemoryEstimate is an upper bound: it assumes that every prompt and response has the largest length allowed.
struct MemoryEstimate {
  std::vector<MemoryPart> parts;
  std::uint64_t total() const {
    return std::accumulate(parts.begin(), parts.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const MemoryPart& part) { return sum + part.bytes; });
  }
};

namespace detail {

/// Gives the number of values per row of LayerActivations (model/block.hpp).
inline std::uint64_t activation_cols(const ModelConfig& c) {
  const std::uint64_t heads = c.query_key_norm == QueryKeyNorm::present ? c.query_size() + c.key_size() : 0;
  return 4 * c.hidden + c.qkv_size() + heads + c.query_size() + 2 * c.heads + 3 * c.intermediate + 4;
}

/// Gives the number of values per row of a pass that keeps nothing for a backward pass.
inline std::uint64_t scoring_cols(const ModelConfig& c) { return activation_cols(c) + 2 * c.hidden; }

}  // namespace detail

/// Gives the size of all parameters of a model in bytes.
inline std::uint64_t model_bytes(const ModelConfig& c, std::size_t value = 4) {
  return std::uint64_t{ModelLayout(c).parameters()} * value;
}

/// Gives the memory in bytes of a pass over `rows` tokens, without the weights, if nothing is kept for a backward pass.
inline std::uint64_t scoring_bytes(const ModelConfig& c, std::uint64_t rows, std::size_t value = 4) {
  return detail::scoring_cols(c) * rows * value;
}

/// Estimates the memory of a run. The parts are the buffers of TransformerPolicy, its Generator and AdamW.
/// @throws BadArgument if the configuration is not valid.
inline MemoryEstimate estimate_memory(const ModelConfig& c, const MemoryRequest& request) {
  using namespace detail;
  const ModelLayout layout(c);
  const std::uint64_t matrices = layout.matrix_parameters();
  const std::uint64_t vectors = layout.vector_parameters();
  const std::uint64_t all = matrices + vectors;
  const std::uint64_t value = request.value;
  const std::uint64_t trained = request.lora ? adapter_parameters(layout, *request.lora) : all;
  const std::uint64_t copy = trained * value;
  MemoryEstimate estimate;
  const auto add = [&](std::string name, std::uint64_t bytes) {
    if (bytes > 0) estimate.parts.push_back({std::move(name), bytes});
  };
  if (request.lora) {
    add("frozen weights", (request.frozen > 0 ? request.frozen : matrices * value) + vectors * value);
    add("adapters", copy);
  } else {
    add("weights", copy);
    add("weights packed for rollouts", matrices * value);
  }
  add("gradients", copy);
  add("gradients of each reward", request.kept_gradients * copy);
  add("AdamW's moments", 2 * copy);
  add("AdamW's moments once more, for a checkpoint", 2 * copy);  // StateWriter copies vectors
  add("copies of the policy (KL reference, proxy)", request.copies * copy);

  const std::uint64_t group = request.prompt_tokens + std::uint64_t{request.generations} * request.completion_tokens;
  const std::uint64_t responses = std::uint64_t{request.prompts} * request.generations;
  const std::uint64_t prompt_rows = request.step_prompt_tokens > 0
                                        ? std::uint64_t{request.step_prompt_tokens}
                                        : std::uint64_t{request.prompts} * request.prompt_tokens;
  const std::uint64_t step =
      request.step_tokens > 0 ? request.step_tokens : prompt_rows + responses * request.completion_tokens;
  // A micro-batch holds no more than the whole batch.
  const std::uint64_t rows = std::min(std::max<std::uint64_t>(request.micro_batch_tokens, group), step);
  const std::uint64_t layer = activation_cols(c) * rows * value;
  const bool keep = request.activations == Activations::keep;
  const std::uint64_t inputs = keep ? 0 : std::uint64_t{c.layers} * c.hidden * rows * value;
  add("activations of a training pass", (keep ? c.layers : 1) * layer + inputs);
  const std::uint64_t backward = 5 * c.hidden + c.qkv_size() + c.query_size() + 3 * c.intermediate;
  add("gradients of activations", backward * rows * value);
  add("passes that do not train",
      ((request.scores_itself == ScoresItself::yes ? 1u : 0u) + request.copies) * scoring_bytes(c, rows, value));
  if (request.responses == ResponseSource::rollouts) {
    const std::uint64_t block = 64;  // tails grow in blocks
    const std::uint64_t tail = (request.completion_tokens + block) / block * block;
    add("keys and values of a rollout",
        2 * c.key_size() * c.layers * value * (prompt_rows + block * request.prompts + responses * tail));
    add("prompts of a rollout", scoring_bytes(c, prompt_rows, value));
  }
  add("LM head and logits", (std::uint64_t{1} << 24) + 8 * std::uint64_t{c.vocabulary} * value);
  return estimate;
}

/// Gives the memory in bytes that this process can still allocate without swapping: the kernel's MemAvailable, or the
/// rest of the limit of its control group if that is less. The result is nullopt if neither can be read.
inline std::optional<std::uint64_t> available_memory() {
  std::optional<std::uint64_t> available;
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    unsigned long long kilobytes = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu kB", &kilobytes) == 1) available = kilobytes * 1024;
  }
  std::uint64_t limit = 0;
  std::uint64_t used = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit && std::ifstream("/sys/fs/cgroup/memory.current") >> used) {
    const std::uint64_t left = limit > used ? limit - used : 0;
    available = std::min(available.value_or(left), left);
  }
  return available;
}

/// Gives a number of bytes as a text for people, such as "1.5 GiB".
inline std::string memory_text(std::uint64_t bytes) {
  static constexpr std::array<const char*, 4> units{"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024.0;
  std::size_t unit = 0;
  for (; value >= 1024.0 && unit + 1 < units.size(); ++unit) value /= 1024.0;
  char text[32];
  std::snprintf(text, sizeof text, value < 10.0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
  return text;
}

}  // namespace maestro
