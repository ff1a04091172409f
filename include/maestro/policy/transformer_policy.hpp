#pragma once

/// @file
/// A decoder-only transformer as a policy over text.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/model/lm_head.hpp"
#include "maestro/model/packed_batch.hpp"
#include "maestro/model/transformer.hpp"
#include "maestro/model/weights.hpp"
#include "maestro/policy/float_and_double.hpp"
#include "maestro/policy/generation.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/policy/prompt_tokens.hpp"
#include "maestro/policy/sampler.hpp"
#include "maestro/text/chat_encode.hpp"
#include "maestro/text/chat_format.hpp"
#include "maestro/text/tokenizer.hpp"

namespace maestro {

/// PromptStart says what precedes the text of a prompt.
enum class PromptStart : std::uint8_t {
  text,         ///< nothing (Qwen)
  begin_token,  ///< the tokenizer's begin token, or the configuration's if that has none (Llama)
};

/// Activations says what the training pass keeps of its forward pass. Both choices give the same bits.
enum class Activations : std::uint8_t {
  keep,       ///< the activations of every layer
  recompute,  ///< only the input of each layer (gradient checkpointing): less memory, one more forward pass
};

/// TransformerPolicyOptions holds how a TransformerPolicy reads prompts and uses memory.
struct TransformerPolicyOptions {
  PromptStart prompt_start = PromptStart::text;
  Activations activations = Activations::keep;
  LmHeadOptions head{};
  GenerationOptions generation{};
  ChatFormat chat{};  ///< format of conversations; without one, prompts are texts
};

namespace detail {

/// Gives the token that PromptStart::begin_token writes; -1 if there is none.
template <Tokenizer Tok>
std::int32_t begin_token_of(const Tok& tokenizer, const ModelConfig& config) {
  if constexpr (requires { std::optional<std::int32_t>(tokenizer.begin_token()); }) {
    return std::optional<std::int32_t>(tokenizer.begin_token()).value_or(config.begin_token);
  }
  return config.begin_token;
}

}  // namespace detail

/// Encodes a text without a chat format. The begin token precedes it if the options say so.
template <Tokenizer Tok>
std::vector<std::int32_t> encode_prompt(const Tok& tokenizer, const ModelConfig& config,
                                        const TransformerPolicyOptions& options, std::string_view text) {
  std::vector<std::int32_t> tokens = tokenizer.encode(text);
  if (options.prompt_start == PromptStart::begin_token) {
    tokens.insert(tokens.begin(), detail::begin_token_of(tokenizer, config));
  }
  return tokens;
}

/// Encodes a prompt. With a chat format, the tokens are its messages (or its text as the only message of a user) and
/// the beginning of the answer; the chat format alone decides about a begin token. Without a chat format, the tokens
/// are those of its text.
/// @throws BadArgument for a conversation that needs a chat format; Unsupported naming a role that the format lacks;
///         BadData naming the data row if a chat template refuses the conversation.
template <Tokenizer Tok>
std::vector<std::int32_t> encode_prompt(const Tok& tokenizer, const ModelConfig& config,
                                        const TransformerPolicyOptions& options, const Prompt& prompt) {
  if (options.chat.kind == ChatKind::none) {
    if (prompt.messages.size() < 2) {
      return encode_prompt(tokenizer, config, options, std::string_view(prompt.text));
    }
    throw BadArgument("transformer policy: the prompt of data row " + std::to_string(prompt.row) + " has " +
                      std::to_string(prompt.messages.size()) +
                      " messages, which need a chat format; choose one in TransformerPolicyOptions::chat");
  }
  if constexpr (ChatTokenizer<Tok>) {
    try {
      return encode_chat(tokenizer, options.chat, conversation_of(prompt), GenerationPrompt::add);
    } catch (const BadData& error) {
      throw BadData("transformer policy: the prompt of data row " + std::to_string(prompt.row) + ": " + error.what());
    }
  }
  return {};
}

namespace detail {

/// OwnWorkspace owns a workspace made from options. A copy of the owner gets a fresh one made from the same options.
template <class W, class Options>
class OwnWorkspace {
 public:
  explicit OwnWorkspace(const Options& options) : options_(options), workspace_(std::make_unique<W>(options)) {}
  OwnWorkspace(const OwnWorkspace& other) : OwnWorkspace(other.options_) {}
  OwnWorkspace& operator=(const OwnWorkspace& other) {
    *this = OwnWorkspace(other);
    return *this;
  }
  OwnWorkspace(OwnWorkspace&&) noexcept = default;
  OwnWorkspace& operator=(OwnWorkspace&&) noexcept = default;
  ~OwnWorkspace() = default;

  W& operator*() const { return *workspace_; }
  W* operator->() const { return workspace_.get(); }

 private:
  Options options_;
  std::unique_ptr<W> workspace_;
};

}  // namespace detail

/// TransformerPolicy is a policy over text. It holds weights and a tokenizer, and runs packed batches in which the
/// responses of a group share their prompt.
///
/// A response ends with tokenizer.end_token(), with one of the configuration's end_tokens or of Sampling::stop_tokens,
/// with the token that ends a turn of the chat format, with the token that completes one of Sampling::stop_texts, or at
/// the length limit. Its text does not include a token that ended it, but it includes a stop text. The hidden state (d)
/// is that of the last token of the response, after the final norm.
///
/// Copies share only the cached tokens of prompts. A copy has the weights, but no gradients and its own workspaces.
/// Gradients are allocated by the first zero_gradients or backward; before that, `visit` shows parameters without
/// gradients. Results are deterministic for the same threads and backend.
/// @tparam Weights  ModelWeights, or LoraModel to train adapters beside frozen weights.
template <class T, class Backend, Tokenizer Tok, class Weights = ModelWeights<T>>
class TransformerPolicy : public detail::FloatAndDouble<TransformerPolicy<T, Backend, Tok, Weights>> {
 public:
  using scalar_type = T;
  using weights_type = Weights;

  /// Makes a policy of weights and a tokenizer.
  /// @param prompt_tokens  a cache of the same tokenizer with the same options; nullptr makes a new one.
  /// @throws BadArgument if the tokenizer makes tokens outside the model's vocabulary, if its end token is outside it,
  ///         if PromptStart::begin_token finds no begin token, or if the tokenizer lacks a special token of the chat
  ///         format.
  TransformerPolicy(Weights weights, Tok tokenizer, const TransformerPolicyOptions& options = {},
                    std::shared_ptr<PromptTokens> prompt_tokens = nullptr)
      : weights_(std::move(weights)),
        tokenizer_(std::move(tokenizer)),
        options_(options),
        prompt_tokens_(prompt_tokens ? std::move(prompt_tokens) : std::make_shared<PromptTokens>()),
        training_(options),
        scoring_(options) {
    const std::size_t vocabulary = config().vocabulary;
    const std::size_t needed = detail::text_vocabulary_size(tokenizer_);
    if (needed > vocabulary) {
      throw BadArgument("transformer policy: the tokenizer makes " + std::to_string(needed) +
                        " tokens of texts, the model has " + std::to_string(vocabulary) +
                        "; they do not belong together");
    }
    const auto end = static_cast<std::int32_t>(tokenizer_.end_token());
    if (end < 0 || static_cast<std::size_t>(end) >= vocabulary) {
      throw BadArgument("transformer policy: the tokenizer's end token " + std::to_string(end) +
                        " is not in the model's vocabulary");
    }
    if (options.prompt_start == PromptStart::begin_token && detail::begin_token_of(tokenizer_, config()) < 0) {
      throw BadArgument("transformer policy: PromptStart::begin_token needs a model or a tokenizer with a begin_token");
    }
    check_chat_format(tokenizer_, options_.chat);
    if constexpr (ChatTokenizer<Tok>) turn_end_ = turn_end_token(tokenizer_, options_.chat);
  }

  const ModelConfig& config() const { return weights_.config(); }
  const Weights& weights() const { return weights_; }
  Weights& weights() { return weights_; }
  const Tok& tokenizer() const { return tokenizer_; }
  std::size_t hidden_size() const { return config().hidden; }
  /// Gives the counts of all calls of generate so far.
  const GenerationCounters& counters() const { return training_->generator.counters(); }

  /// Encodes a text as the model reads it, without a chat format.
  std::vector<std::int32_t> encode_prompt(std::string_view text) const {
    return maestro::encode_prompt(tokenizer_, config(), options_, text);
  }

  /// Encodes a prompt as the model reads it, and caches the tokens.
  /// @throws BadArgument, Unsupported or BadData as the function encode_prompt.
  std::vector<std::int32_t> encode_prompt(const Prompt& prompt) const {
    return prompt_tokens_->get(
        prompt, [&](const Prompt& p) { return maestro::encode_prompt(tokenizer_, config(), options_, p); });
  }

  /// Refuses, before a run begins, prompts that generate would refuse.
  /// @throws BadArgument, Unsupported or BadData as generate.
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    check(sampling);
    for (const Prompt& prompt : prompts) {
      check_tokens(prompt, encode_prompt(prompt), sampling.max_completion_length);
    }
  }

  /// Gives the tokens that always end a response: the configuration's end_tokens, the tokenizer's end token, and the
  /// token that ends a turn of the chat format.
  std::vector<std::int32_t> stop_tokens() const {
    std::vector<std::int32_t> stops = config().end_tokens;
    const auto add = [&](std::int32_t token) {
      if (std::find(stops.begin(), stops.end(), token) == stops.end()) stops.push_back(token);
    };
    add(static_cast<std::int32_t>(tokenizer_.end_token()));
    if (turn_end_) add(*turn_end_);
    return stops;
  }

  /// Draws G responses per prompt.
  /// @throws BadArgument naming the data row and the sizes of a prompt that is empty or leaves no room for a response;
  ///         what encode_prompt throws; BadData if the policy has diverged.
  Rollouts generate(std::span<const Prompt> prompts, const Sampling& sampling, const DrawKey& key) {
    check(sampling);
    Rollouts rollouts;
    rollouts.prompts.assign(prompts.begin(), prompts.end());
    rollouts.groups = Groups::uniform(prompts.size(), sampling.num_generations);
    rollouts.temperature = sampling.temperature;
    for (const Prompt& prompt : prompts) {
      const std::vector<std::int32_t> tokens = encode_prompt(prompt);
      check_tokens(prompt, tokens, sampling.max_completion_length);
      rollouts.prompt_tokens.push_row(tokens);
    }
    std::vector<std::int32_t> stops = stop_tokens();
    stops.insert(stops.end(), sampling.stop_tokens.begin(), sampling.stop_tokens.end());
    const auto text = [this](std::int32_t token) { return text_of(std::span<const std::int32_t>(&token, 1)); };
    training_->generator.run(weights_, sampling, key, stops, rollouts, {sampling.stop_texts, text});
    write_texts(stops, rollouts);
    return rollouts;
  }

  /// Overwrites `rollouts.texts` with the texts of its tokens.
  /// @param stops  tokens that end a response; such a last token is not in the text.
  void write_texts(std::span<const std::int32_t> stops, Rollouts& rollouts) const {
    rollouts.texts.clear();
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      std::span<const std::int32_t> tokens = rollouts.tokens.row(i);
      const bool stopped = !tokens.empty() && std::ranges::find(stops, tokens.back()) != stops.end();
      rollouts.texts.push_back(text_of(stopped ? tokens.first(tokens.size() - 1) : tokens));
    }
  }

  /// Computes log-probs and entropies of responses that another program may have drawn: those of the response tokens of
  /// the groups in range, in packed order, at rollouts.temperature. It also gives the hidden states that generate
  /// gives. It does not touch what backward needs, and concurrent calls wait for each other.
  /// @param hidden         (responses of the range x d) terminal hidden states, overwritten; empty if they are not
  ///                       wanted.
  /// @param prompt_hidden  (groups of the range x d) as Rollouts::prompt_hidden, overwritten; empty if they are not
  ///                       wanted.
  /// @throws BadArgument for spans and views of another size, or as forward.
  void read(const Rollouts& rollouts, GroupRange range, std::span<float> log_probs, std::span<float> entropies,
            MatrixView<float> hidden, MatrixView<float> prompt_hidden = {}) const {
    const std::lock_guard lock(scoring_->mutex);
    const LastToken last = hidden.rows() > 0 ? LastToken::feed : LastToken::omit;
    run_pass(scoring_->pass, Keep::nothing, rollouts, range, log_probs, entropies, last);
    const PackedBatch& batch = scoring_->pass.batch;
    const std::span<const std::size_t> rows = batch.terminal_rows();
    require(hidden.rows() == 0 || (hidden.rows() == rows.size() && hidden.cols() == hidden_size()),
            "transformer policy: read needs a row of hidden_size() for each response of the range");
    require(prompt_hidden.rows() == 0 ||
                (prompt_hidden.rows() == range.last - range.first && prompt_hidden.cols() == hidden_size()),
            "transformer policy: read needs a row of hidden_size() for each prompt of the range");
    const auto copy = [&](std::size_t row, std::span<float> to) {
      const std::span<const T> from = scoring_->pass.head_batch.hidden.row(row);
      std::transform(from.begin(), from.end(), to.begin(), [](T value) { return static_cast<float>(value); });
    };
    for (std::size_t i = 0; i < hidden.rows(); ++i) copy(rows[i], hidden.row(i));
    const std::size_t first = rollouts.groups.begin(range.first);
    for (std::size_t g = 0; g < prompt_hidden.rows(); ++g) {
      const std::size_t i = rollouts.groups.begin(range.first + g);
      const bool empty = rollouts.tokens.length(i) == 0;
      const std::size_t token = rollouts.tokens.offset(i) - rollouts.tokens.offset(first);
      copy(empty ? rows[i - first] : batch.predictors()[token], prompt_hidden.row(g));
    }
  }

  void zero_gradients() {
    make_gradients();
    training_->gradients.set_zero();
  }
  /// Gives the policy with its adapters switched off, which is the KL reference of a LoRA policy.
  TransformerPolicy without_adapters() const requires requires(const Weights& w) { w.without_adapters(); }
  { return TransformerPolicy(weights_.without_adapters(), tokenizer_, options_); }

  /// Calls f(ParameterView<T>) for the parameters by their Hugging Face names, or for the adapters by PEFT's names.
  template <class F>
  void visit(F&& f) {
    weights_.visit(training_->gradients, std::forward<F>(f));
  }

 private:
  friend class detail::FloatAndDouble<TransformerPolicy>;
  enum class State : std::uint8_t { idle, ready_for_backward };
  struct Pass {
    explicit Pass(const TransformerPolicyOptions& options) : head(options.head) {}
    PackedBatch batch;
    TransformerWorkspace<T> workspace;
    LmHead<T, Backend> head;
    HeadBatch<T, typename Weights::MatrixType> head_batch;
  };
  struct Training {
    explicit Training(const TransformerPolicyOptions& options) : pass(options), generator(options.generation) {}
    Pass pass;
    Generator<T, Backend, Weights> generator;
    typename Weights::Gradients gradients;
    Matrix<T> d_hidden;
    State state = State::idle;
  };
  struct Scoring {
    explicit Scoring(const TransformerPolicyOptions& options) : pass(options) {}
    std::mutex mutex;
    Pass pass;
  };

  void make_gradients() {
    if (training_->gradients.empty()) training_->gradients = weights_.make_gradients();
  }

  void check_tokens(const Prompt& prompt, std::span<const std::int32_t> ids, std::size_t completion) const {
    const std::size_t tokens = ids.size();
    const std::string place = "transformer policy: the prompt of data row " + std::to_string(prompt.row);
    if (tokens == 0) throw BadArgument(place + " has no tokens; give it a text, or begin it with a begin token");
    const std::size_t limit = config().max_positions;
    if (tokens > limit || completion > limit - tokens) {
      throw BadArgument(place + " has " + std::to_string(tokens) + " tokens and max_completion_length is " +
                        std::to_string(completion) + ", together beyond the model's " + std::to_string(limit) +
                        " positions; shorten one of them");
    }
    for (const std::int32_t id : ids) {
      if (static_cast<std::size_t>(id) < config().vocabulary) continue;
      throw BadArgument(place + " has token " + std::to_string(id) + ", which the tokenizer adds to the model's " +
                        std::to_string(config().vocabulary) + "; the model has to be resized to use it");
    }
  }

  // The text lacks padding and ids that the tokenizer does not know (a model's vocabulary may be padded). Other special
  // tokens are text, since rewards may look for them: <think> is one in some models.
  std::string text_of(std::span<const std::int32_t> tokens) const {
    std::vector<std::int32_t> known;
    known.reserve(tokens.size());
    for (const std::int32_t token : tokens) {
      const bool padding = token == config().pad_token && tokenizer_.decode(std::span(&token, 1)).empty();
      if (!padding && static_cast<std::size_t>(token) < tokenizer_.vocabulary_size()) known.push_back(token);
    }
    return detail::decode_response(tokenizer_, known);
  }

  template <class U>
  void run_pass(Pass& pass, Keep keep, const Rollouts& rollouts, GroupRange range, std::span<U> log_probs,
                std::span<U> entropies, LastToken last = LastToken::omit) const {
    pass.batch.pack(rollouts, range.first, range.last, {.last_token = last});
    if (log_probs.size() != pass.batch.targets().size()) {
      throw BadArgument("transformer policy: groups " + std::to_string(range.first) + " .. " +
                        std::to_string(range.last) + " hold " + std::to_string(pass.batch.targets().size()) +
                        " response tokens, the output " + std::to_string(log_probs.size()));
    }
    const MatrixView<const T> hidden = Transformer<T, Backend>::forward(weights_, pass.batch, pass.workspace, keep);
    pass.head_batch = {.hidden = hidden,
                       .weight = std::as_const(weights_).head(),
                       .predictors = pass.batch.predictors(),
                       .targets = pass.batch.targets(),
                       .temperature = rollouts.temperature};
    pass.head.forward(pass.head_batch, log_probs, entropies);
  }
  template <class U>
  void run_forward(const Rollouts& rollouts, GroupRange range, std::span<U> log_probs, std::span<U> entropies) {
    training_->state = State::idle;
    const Keep keep = options_.activations == Activations::keep ? Keep::activations : Keep::inputs;
    run_pass(training_->pass, keep, rollouts, range, log_probs, entropies);
    training_->state = State::ready_for_backward;
  }
  /// The workspace is separate and locked: calls from several threads wait for each other, and what backward needs is
  /// left alone.
  template <class U>
  void run_log_probs(const Rollouts& rollouts, GroupRange range, std::span<U> out) const {
    const std::lock_guard lock(scoring_->mutex);
    run_pass(scoring_->pass, Keep::nothing, rollouts, range, out, std::span<U>());
  }
  template <class U>
  void run_backward(std::span<const U> d_log_probs, std::span<const U> d_entropies) {
    require(training_->state == State::ready_for_backward,
            "transformer policy: backward needs a forward before it, once each");
    make_gradients();
    Training& t = *training_;
    t.d_hidden.assign(t.pass.batch.rows(), config().hidden, T(0));
    t.pass.head.backward(t.pass.head_batch, d_log_probs, d_entropies, t.d_hidden.view(), t.gradients.head());
    Transformer<T, Backend>::backward(weights_, t.pass.batch, t.pass.workspace, t.d_hidden, t.gradients);
    t.state = State::idle;
  }

  Weights weights_;
  Tok tokenizer_;
  TransformerPolicyOptions options_;
  std::shared_ptr<PromptTokens> prompt_tokens_;  ///< shared by copies, which encode alike
  std::optional<std::int32_t> turn_end_{};
  detail::OwnWorkspace<Training, TransformerPolicyOptions> training_;
  detail::OwnWorkspace<Scoring, TransformerPolicyOptions> scoring_;
};

}  // namespace maestro
