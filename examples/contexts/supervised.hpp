#pragma once

/// @file
/// The base model of the families of contexts, whose most frequent manner is wrong, with a tokenizer of their words;
/// and supervised training on demonstrations, the control of every run that learns from rewards.

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/supervised_step.hpp"
#include "common/text_model.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/optimizer/adamw.hpp"
#include "maestro/optimizer/schedule.hpp"
#include "maestro/policy/demonstrations.hpp"
#include "maestro/text/byte_level.hpp"
#include "maestro/tokenizers.hpp"
#include "tasks/contexts.hpp"

namespace maestro::examples {

struct SupervisedOptions {
  std::uint64_t seed = 1;
  std::size_t steps = 5000;
  std::size_t batch = 28;
  double learning_rate = 4e-3;
  std::size_t demonstrations = 28;  ///< different ones, the families in turn; of supervised training alone
  std::string pairs;                ///< JSONL file with prompt and response, in their place; empty: none
};

/// The pieces that GPT-2's pattern cuts a text of letters, punctuation and single spaces into.
inline std::set<std::string> pieces_of(std::string_view text) {
  std::set<std::string> pieces;
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + (text[at] == ' ' ? 1u : 0u);
    if (end < text.size() && text[end] != '\n') {
      const bool letters = is_letter(text[end]);
      while (end < text.size() && text[end] != ' ' && text[end] != '\n' && is_letter(text[end]) == letters) ++end;
    }
    end = std::max(end, at + 1);
    pieces.emplace(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

/// Writes a byte-level tokenizer that has the words of the contexts as tokens of their own: any other text falls into
/// bytes.
inline void write_contexts_tokenizer(const std::string& folder) {
  std::set<std::string> words;
  for (const contexts::Pair& pair : contexts::make_corpus(20000, 0))
    words.merge(pieces_of(pair.prompt.text + pair.response));
  OrderedJson vocabulary = OrderedJson::object();
  std::size_t next = 0;
  vocabulary["<|end|>"] = next++;
  for (unsigned byte = 0; byte < 256; ++byte) {
    vocabulary[symbols_of_bytes(std::string(1, static_cast<char>(byte)))] = next++;
  }
  for (const std::string& word : words) {
    if (word.size() > 1) vocabulary[symbols_of_bytes(word)] = next++;
  }
  const OrderedJson level{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const OrderedJson end{{"id", 0},         {"content", "<|end|>"}, {"single_word", false}, {"lstrip", false},
                        {"rstrip", false}, {"normalized", false},  {"special", true}};
  const OrderedJson model{{"type", "BPE"},
                          {"dropout", nullptr},
                          {"unk_token", nullptr},
                          {"continuing_subword_prefix", nullptr},
                          {"end_of_word_suffix", nullptr},
                          {"fuse_unk", false},
                          {"byte_fallback", false},
                          {"ignore_merges", true},
                          {"vocab", vocabulary},
                          {"merges", OrderedJson::array()}};
  const OrderedJson file{{"version", "1.0"},
                         {"truncation", nullptr},
                         {"padding", nullptr},
                         {"added_tokens", OrderedJson::array({end})},
                         {"normalizer", nullptr},
                         {"pre_tokenizer", level},
                         {"post_processor", nullptr},
                         {"decoder", level},
                         {"model", model}};
  std::filesystem::create_directories(folder);
  write_file(folder + "/tokenizer.json", dump_json(file, 1) + "\n");
  write_file(
      folder + "/tokenizer_config.json",
      dump_json(OrderedJson{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"eos_token", "<|end|>"}}, 1) + "\n");
}

/// 0.2 million parameters: d 64, 3 layers, 2 query heads on 1 key head, tied embeddings.
inline ModelConfig contexts_config(const AnyTokenizer& tokenizer) {
  ModelConfig config = qwen3_config(tokenizer.vocabulary_size(), 64, 3, 2, 1, 32, 192);
  config.max_positions = 512;
  config.end_tokens = {tokenizer.end_token()};
  return config;
}

/// Trains a policy on the mean negative log-likelihood of the response tokens of `batch_of(step)`.
template <class Batch>
void train_supervised(FullPolicy& policy, const SupervisedOptions& options, const ScheduleOptions& schedule,
                      const Batch& batch_of) {
  AdamW<float> optimizer({.beta2 = 0.99, .weight_decay = 0.01});
  double loss = 0.0;
  for (std::size_t step = 0; step < options.steps; ++step) {
    std::vector<maestro::Demonstration> shown;
    for (const contexts::Pair& pair : batch_of(step)) shown.push_back({pair.prompt.text, pair.response});
    const Rollouts batch = demonstrations(std::span<const maestro::Demonstration>(shown), policy.tokenizer());
    loss += supervised_step(policy, batch, optimizer, options.learning_rate * learning_rate_factor(schedule, step));
    const std::size_t since = step % 100 + 1;
    if (since < 100 && step + 1 < options.steps) continue;
    std::cout << "step " << step + 1 << ": loss " << loss / static_cast<double>(since) << " nats per token"
              << std::endl;
    loss = 0.0;
  }
}

/// Makes the base model in a folder.
inline void make_contexts_base(const std::string& folder, const SupervisedOptions& options) {
  write_contexts_tokenizer(folder);
  AnyTokenizer tokenizer = load_any_tokenizer(folder, {});
  ModelWeights<float> weights(contexts_config(tokenizer));
  weights.initialize(options.seed);
  FullPolicy policy(std::move(weights), tokenizer);
  std::cout << "base model of the contexts: " << policy.weights().parameters() << " parameters\n";
  const ScheduleOptions schedule{.kind = ScheduleKind::cosine, .warmup_steps = 50, .total_steps = options.steps};
  train_supervised(policy, options, schedule, [&](std::size_t step) {
    return contexts::make_corpus(options.batch, options.seed, {}, step * options.batch);
  });
  save_model(folder, policy.weights(), policy.tokenizer());
}

/// The prompts and responses of a file.
/// @throws BadFile for a line that is no JSON; BadData naming the line that lacks one of them.
inline std::vector<contexts::Pair> read_pairs(const std::string& path) {
  std::vector<contexts::Pair> pairs;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    const std::string place = path + ":" + std::to_string(pairs.size() + 1);
    const Json json = parse_json(line, place);
    for (const char* key : {"prompt", "response"}) {
      if (!json.is_object() || !json.contains(key) || !json[key].is_string()) {
        throw BadData(place + ": needs a text '" + key + "'");
      }
    }
    contexts::Pair& pair = pairs.emplace_back();
    pair.prompt.text = json["prompt"].get<std::string>();
    pair.response = json["response"].get<std::string>();
  }
  if (pairs.empty()) throw BadData(path + ": no line");
  return pairs;
}

/// Trains a model on the demonstrations of the first training prompts, those that a run with the same seed has too, or
/// on the responses of a file.
inline void make_supervised(FullPolicy& policy, const std::string& folder, const SupervisedOptions& options) {
  const auto pairs = options.pairs.empty() ? contexts::make_pairs(Split::train, options.demonstrations, options.seed)
                                           : read_pairs(options.pairs);
  const ScheduleOptions schedule{.kind = ScheduleKind::linear, .total_steps = options.steps};
  std::vector<contexts::Pair> part(options.batch);
  train_supervised(policy, options, schedule, [&](std::size_t step) {
    for (std::size_t i = 0; i < options.batch; ++i) part[i] = pairs[(step * options.batch + i) % pairs.size()];
    return part;
  });
  save_model(folder, policy.weights(), policy.tokenizer());
}

}  // namespace maestro::examples
