#pragma once

/// @file
/// A reward model: a transformer with a linear head that maps the last hidden state of a response to one score.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/micro_batches.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/packed_batch.hpp"
#include "maestro/model/transformer.hpp"
#include "maestro/model/weights.hpp"
#include "maestro/text/chat_encode.hpp"
#include "maestro/text/chat_format.hpp"
#include "maestro/text/chat_render.hpp"
#include "maestro/text/tokenizer.hpp"

namespace maestro {

/// RewardModelBatch holds prompts and their responses in a reward model's own tokens.
struct RewardModelBatch {
  Ragged<std::int32_t> prompts;
  Ragged<std::int32_t> responses;  ///< those of prompt 0, then those of prompt 1, ...
  std::vector<std::size_t> sizes;  ///< responses per prompt
  std::vector<Message> messages;   ///< with a chat format, the conversation of the last prompt
};

/// RewardModelOptions holds how a RewardModel reads conversations, and how much it scores in one pass.
struct RewardModelOptions {
  std::size_t micro_batch_tokens = 16384;  ///< tokens per pass of `score`, at least 1; a pass has one group or more
  /// The format of conversations for this model, which may differ from the policy's. Without one, texts are plain.
  ChatFormat chat{};
  /// The padding token (pad_token_id). With a chat format, the score is read at the last token that is not this one. If
  /// it is -1, the score is read at the last token.
  std::int32_t pad_token = -1;
};

/// RewardModel is a PreferenceScorer: score = w'h, where h is the final hidden state (after the last norm) of the last
/// token of prompt + response. The prompt of a group runs once for all its responses.
///
/// Text is encoded by the model's own tokenizer. Without a chat format the tokens are the begin token if the
/// configuration has one, Prompt::text, the response, and the end token unless the response was cut. With a chat format
/// they are the conversation of the prompt (its messages, or its text as the only message of a user) and the response
/// as the assistant's message, as the format writes and ends it, whether the response was cut or not; special tokens,
/// the begin token among them, are then the format's. Parameters carry the names of a Hugging Face
/// ...ForSequenceClassification checkpoint with one label: `model.*` and `score.weight` (1 x d).
/// Results are deterministic for a given thread count and backend. Calls on one object must not overlap, since they
/// share buffers.
template <class T, class Backend, Tokenizer Tok>
class RewardModel {
 public:
  using scalar_type = T;

  /// Makes a model whose weights are all zero. Call `initialize` before use. A separate LM head in `config` is dropped,
  /// since a reward model has none.
  /// @throws BadArgument if the configuration is not valid or has a smaller vocabulary than the tokenizer, if
  ///         micro_batch_tokens is 0, or if the tokenizer lacks a special token of the chat format.
  RewardModel(ModelConfig config, Tok tokenizer, RewardModelOptions options = {})
      : RewardModel(ModelWeights<T>(without_head(config)), AlignedVector<T>(config.hidden), std::move(tokenizer),
                    std::move(options)) {}
  /// Makes a model of a backbone and a head.
  /// @param score  (d) the head.
  /// @throws BadArgument if the head does not fit, if the backbone has a separate LM head, if the tokenizer makes
  ///         tokens outside the backbone's vocabulary, if micro_batch_tokens is 0, or if the tokenizer lacks a special
  ///         token of the chat format.
  RewardModel(ModelWeights<T> backbone, AlignedVector<T> score, Tok tokenizer, RewardModelOptions options = {})
      : tokenizer_(std::move(tokenizer)),
        options_(std::move(options)),
        weights_(std::move(backbone)),
        score_(std::move(score)) {
    require(options_.micro_batch_tokens > 0, "RewardModel: micro_batch_tokens must be at least 1");
    require(score_.size() == config().hidden, "RewardModel: the head needs one value per hidden unit");
    require(config().head == HeadWeights::tied, "RewardModel: a backbone with an LM head of its own has no use here");
    const std::size_t needed = detail::text_vocabulary_size(tokenizer_);
    if (needed > config().vocabulary) {
      throw BadArgument("RewardModel: the tokenizer makes " + std::to_string(needed) +
                        " tokens of texts, the model's vocabulary has only " + std::to_string(config().vocabulary));
    }
    check_chat_format(tokenizer_, options_.chat);
  }

  /// Draws random weights: those of ModelWeights::initialize, and a head of standard deviation 1/sqrt(d).
  void initialize(std::uint64_t seed) {
    weights_.initialize(seed);
    const RandomStream stream({.seed = seed, .purpose = Purpose::initialization, .row = 0xFFFFFFFFu});
    const double std_dev = 1.0 / std::sqrt(static_cast<double>(score_.size()));
    for (std::size_t i = 0; i < score_.size(); ++i) {
      score_[i] = static_cast<T>(std_dev * stream.normal(static_cast<std::uint32_t>(i)));
    }
  }

  const ModelConfig& config() const { return weights_.config(); }
  const Tok& tokenizer() const { return tokenizer_; }
  const ModelWeights<T>& backbone() const { return weights_; }
  /// Gives the head, (d).
  std::span<const T> head() const { return score_; }

  /// Overwrites `out` (B) with one score per response.
  /// @throws BadArgument if `out` does not fit, or if a sequence is longer than the model's max_positions.
  void score(const Rollouts& rollouts, std::span<float> out) const {
    if (out.size() != rollouts.size()) throw BadArgument("RewardModel: out needs one value per response");
    RewardModelBatch batch;
    for (std::size_t g = 0; g < rollouts.groups.count(); ++g) {
      push_prompt(batch, rollouts.prompts[g]);
      for (std::size_t i = rollouts.groups.begin(g); i < rollouts.groups.end(g); ++i) {
        push_response(batch, rollouts.texts[i], rollouts.finish[i]);
      }
    }
    const Groups groups = Groups::from_sizes(batch.sizes);
    for_each_micro_batch(batch.prompts, batch.responses, groups, {0, groups.count()}, options_.micro_batch_tokens,
                         [&](GroupRange range) {
                           const std::size_t rows = rows_of(groups, range.first, range.last);
                           run(batch, groups, range.first, range.last, Keep::nothing,
                               out.subspan(groups.begin(range.first), rows));
                         });
  }

  /// Refuses, before a run begins, prompts that would exceed the model's positions together with the longest response.
  /// The check assumes that the text of a response has no more tokens in this model than in the policy.
  /// @throws BadArgument naming the data row and the sizes.
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    const std::size_t limit = config().max_positions;
    for (const Prompt& prompt : prompts) {
      RewardModelBatch batch;
      push_prompt(batch, prompt);
      std::size_t tokens = batch.prompts.length(0);
      if (chats()) {  // what the format writes around the answer
        push_response(batch, "");
        tokens += batch.responses.length(0);
      }
      if (tokens <= limit && sampling.max_completion_length <= limit - tokens) continue;
      throw BadArgument("RewardModel: the prompt of data row " + std::to_string(prompt.row) + " has " +
                        std::to_string(tokens) + " tokens and the longest response " +
                        std::to_string(sampling.max_completion_length) + ", together beyond the model's " +
                        std::to_string(limit) + " positions; shorten one of them, or take another reward model");
    }
  }

  /// Adds a prompt without responses to a batch. With a chat format, its tokens are those of the conversation up to the
  /// last special token before the answer. Followed by the tokens of a response, they are the tokens of the whole
  /// conversation.
  /// @throws Unsupported naming a role that the chat format does not have.
  void push_prompt(RewardModelBatch& batch, const Prompt& prompt) const {
    if (!chats()) {
      push_prompt(batch, std::string_view(prompt.text));
      return;
    }
    if constexpr (ChatTokenizer<Tok>) {
      batch.messages = conversation_of(prompt);
      batch.messages.push_back({"assistant", {}});
      const Chat chat = chat_pieces(tokenizer_, options_.chat, batch.messages, GenerationPrompt::omit);
      batch.prompts.push_row(encode_pieces(tokenizer_, std::span(chat.pieces).first(chat.last_content)));
      batch.sizes.push_back(0);
    }
  }
  /// Does the same for a prompt that is a text.
  void push_prompt(RewardModelBatch& batch, std::string_view text) const {
    if (chats()) {
      Prompt prompt;
      prompt.text = text;
      push_prompt(batch, prompt);
      return;
    }
    std::vector<std::int32_t> tokens = tokenizer_.encode(text);
    if (config().begin_token >= 0) tokens.insert(tokens.begin(), config().begin_token);
    batch.prompts.push_row(tokens);
    batch.sizes.push_back(0);
  }
  /// Adds a response to the last prompt of a batch.
  /// @throws BadArgument if the batch has no prompt.
  void push_response(RewardModelBatch& batch, std::string_view text, Finish finish = Finish::stop) const {
    require(!batch.sizes.empty(), "RewardModel: a response needs a prompt before it");
    if (chats()) {
      batch.responses.push_row(encode_answer(batch, text));
    } else {
      std::vector<std::int32_t> tokens = tokenizer_.encode(text);
      if (finish == Finish::stop) tokens.push_back(static_cast<std::int32_t>(tokenizer_.end_token()));
      batch.responses.push_row(tokens);
    }
    ++batch.sizes.back();
  }

  /// Overwrites `scores` (B) with the scores of all responses of `batch`, and keeps what `backward` needs.
  /// @throws BadArgument if `scores` does not fit, or if a sequence is longer than the model's max_positions.
  void forward(const RewardModelBatch& batch, std::span<T> scores) {
    const Groups groups = Groups::from_sizes(batch.sizes);
    if (scores.size() != groups.rows()) throw BadArgument("RewardModel: scores needs one value per response");
    run(batch, groups, 0, groups.count(), Keep::activations, scores);
  }

  /// Adds the gradient of sum(d_scores * scores) of the last forward pass to the gradients of the parameters. It may be
  /// called once per forward pass.
  /// @param d_scores  (B) the gradient of the loss by each score.
  /// @throws BadArgument if zero_gradients() was not called, or if the last forward pass had another number of
  ///         responses.
  void backward(std::span<const T> d_scores) {
    require(!d_score_.empty(), "RewardModel: call zero_gradients() before backward");
    const std::span<const std::size_t> terminal = buffers_.packed.terminal_rows();
    require(d_scores.size() == terminal.size(),
            "RewardModel: backward needs one value per response of the last forward");
    Matrix<T>& d_hidden = buffers_.d_hidden;
    d_hidden.assign(buffers_.packed.rows(), score_.size(), T(0));
    for (std::size_t i = 0; i < terminal.size(); ++i) {
      const std::span<const T> hidden = std::as_const(buffers_.transformer.hidden).row(terminal[i]);
      const std::span<T> d_row = d_hidden.row(terminal[i]);
      for (std::size_t c = 0; c < score_.size(); ++c) {
        d_row[c] += d_scores[i] * score_[c];
        d_score_[c] += d_scores[i] * hidden[c];
      }
    }
    Transformer<T, Backend>::backward(weights_, buffers_.packed, buffers_.transformer, d_hidden, gradients_);
  }

  /// Sets the gradients to zero; the first call allocates them.
  void zero_gradients() {
    if (d_score_.empty()) gradients_ = ModelWeights<T>(config());
    gradients_.set_zero();
    d_score_.assign(score_.size(), T(0));
  }
  /// Calls f(ParameterView<T>) for every parameter; gradients are empty before zero_gradients().
  template <class F>
  void visit(F&& f) {
    weights_.visit(gradients_, f);
    f(ParameterView<T>{
        .name = "score.weight", .values = score_, .gradients = d_score_, .rows = 1, .cols = score_.size()});
  }
  /// Calls f(ParameterView<const T>) for every parameter.
  template <class F>
  void visit(F&& f) const {
    weights_.visit(f);
    f(ParameterView<const T>{
        .name = "score.weight", .values = score_, .gradients = {}, .rows = 1, .cols = score_.size()});
  }

 private:
  /// The buffers are not part of the model's value: a copy starts with its own, empty ones.
  struct Buffers {
    PackedBatch packed;
    TransformerWorkspace<T> transformer;
    Matrix<T> d_hidden;

    Buffers() = default;
    Buffers(const Buffers&) {}
    Buffers(Buffers&&) noexcept = default;
    Buffers& operator=(const Buffers&) { return *this; }
    Buffers& operator=(Buffers&&) noexcept = default;
    ~Buffers() = default;
  };

  static ModelConfig without_head(ModelConfig config) {
    config.head = HeadWeights::tied;
    return config;
  }
  bool chats() const { return options_.chat.kind != ChatKind::none; }
  /// Encodes the last prompt's conversation from where push_prompt stopped to where the score is read.
  std::vector<std::int32_t> encode_answer(RewardModelBatch& batch, std::string_view text) const {
    std::vector<std::int32_t> tokens;
    if constexpr (ChatTokenizer<Tok>) {
      require(!batch.messages.empty(), "RewardModel: a response needs a prompt that push_prompt added");
      batch.messages.back().content = text;
      const Chat chat = chat_pieces(tokenizer_, options_.chat, batch.messages, GenerationPrompt::omit);
      tokens = encode_pieces(tokenizer_, std::span(chat.pieces).subspan(chat.last_content));
      while (!tokens.empty() && tokens.back() == options_.pad_token) tokens.pop_back();
    }
    return tokens;
  }
  static std::size_t rows_of(const Groups& groups, std::size_t first, std::size_t last) {
    return groups.offsets()[last] - groups.offsets()[first];
  }
  template <class U>
  void run(const RewardModelBatch& batch, const Groups& groups, std::size_t first, std::size_t last, Keep keep,
           std::span<U> out) const {
    buffers_.packed.pack(batch.prompts, batch.responses, groups, first, last, {.last_token = LastToken::feed});
    const MatrixView<const T> hidden =
        Transformer<T, Backend>::forward(weights_, buffers_.packed, buffers_.transformer, keep);
    const std::span<const std::size_t> terminal = buffers_.packed.terminal_rows();
    for (std::size_t i = 0; i < terminal.size(); ++i) {
      double sum = 0.0;
      for (std::size_t c = 0; c < score_.size(); ++c) {
        sum += static_cast<double>(score_[c]) * static_cast<double>(hidden(terminal[i], c));
      }
      out[i] = static_cast<U>(sum);
    }
  }

  Tok tokenizer_;
  RewardModelOptions options_;
  ModelWeights<T> weights_;
  AlignedVector<T> score_;  ///< (d)
  ModelWeights<T> gradients_;
  AlignedVector<T> d_score_;
  mutable Buffers buffers_;
};

}  // namespace maestro
