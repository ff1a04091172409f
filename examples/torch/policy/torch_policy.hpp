#pragma once

/// @file
/// A causal model of libtorch as a policy, so that a Trainer trains what autograd differentiates.

#include <torch/torch.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/policy/sampler.hpp"
#include "maestro/text/tokenizer.hpp"

/// TorchPolicy draws responses from a module whose
///
///     std::pair<torch::Tensor, torch::Tensor> forward(torch::Tensor tokens)
///
/// maps tokens (G x S, int64) to logits (G x S x V) and hidden states (G x S x d), each place from the tokens up to it
/// alone. Prompts are the tokens of their text. Every token costs a pass over the whole sequence: there is no cache of
/// keys and values. Copies have parameters of their own. Deterministic where libtorch is.
/// @tparam Module  a torch::nn::Cloneable
/// @tparam T  float or double, the type of the parameters; they lie on the CPU
template <class Module, maestro::Tokenizer Tok, class T = float>
class TorchPolicy {
 public:
  using scalar_type = T;

  TorchPolicy(std::shared_ptr<Module> module, Tok tokenizer, std::size_t hidden_size)
      : module_(std::move(module)), tokenizer_(std::move(tokenizer)), hidden_size_(hidden_size) {}
  TorchPolicy(const TorchPolicy& other)
      : module_(std::dynamic_pointer_cast<Module>(other.module_->clone())),
        tokenizer_(other.tokenizer_),
        hidden_size_(other.hidden_size_) {}
  TorchPolicy& operator=(const TorchPolicy& other) { return *this = TorchPolicy(other); }
  TorchPolicy(TorchPolicy&&) noexcept = default;
  TorchPolicy& operator=(TorchPolicy&&) noexcept = default;
  ~TorchPolicy() = default;

  std::size_t hidden_size() const { return hidden_size_; }

  maestro::Rollouts generate(std::span<const maestro::Prompt> prompts, const maestro::Sampling& sampling,
                             const maestro::DrawKey& key) {
    const torch::NoGradGuard no_gradients;
    maestro::Rollouts rollouts;
    rollouts.prompts.assign(prompts.begin(), prompts.end());
    rollouts.groups = maestro::Groups::uniform(prompts.size(), sampling.num_generations);
    rollouts.temperature = sampling.temperature;
    for (const maestro::Prompt& prompt : prompts) rollouts.prompt_tokens.push_row(encode(prompt));
    for (std::size_t n = 0; n < prompts.size(); ++n) draw_group(rollouts, n, sampling, key);
    rollouts.hidden.resize(rollouts.size(), hidden_size_);
    for (std::size_t n = 0; n < prompts.size(); ++n) fill_hidden(rollouts, n);
    return rollouts;
  }

  /// @throws BadData for a prompt without tokens.
  void check_prompts(std::span<const maestro::Prompt> prompts, const maestro::Sampling& sampling) const {
    check(sampling);
    for (const maestro::Prompt& prompt : prompts) encode(prompt);
  }

  void forward(const maestro::Rollouts& rollouts, maestro::GroupRange range, std::span<float> log_probs,
               std::span<float> entropies) {
    std::tie(kept_log_probs_, kept_entropies_) = values_of(rollouts, range);
    copy(kept_log_probs_, log_probs);
    if (!entropies.empty()) copy(kept_entropies_, entropies);
  }
  void backward(std::span<const float> d_log_probs, std::span<const float> d_entropies) {
    maestro::require(kept_log_probs_.defined(), "torch policy: backward needs a forward before it, once each");
    std::vector<torch::Tensor> roots{kept_log_probs_};
    std::vector<torch::Tensor> gradients{like(kept_log_probs_, d_log_probs)};
    if (!d_entropies.empty()) {
      roots.push_back(kept_entropies_);
      gradients.push_back(like(kept_entropies_, d_entropies));
    }
    torch::autograd::backward(roots, gradients);
    kept_log_probs_.reset();
    kept_entropies_.reset();
  }
  void log_probs(const maestro::Rollouts& rollouts, maestro::GroupRange range, std::span<float> out) const {
    const torch::NoGradGuard no_gradients;
    copy(values_of(rollouts, range).first, out);
  }

  void zero_gradients() {
    for (torch::Tensor& parameter : module_->parameters()) parameter.mutable_grad() = torch::zeros_like(parameter);
  }
  template <class F>
  void visit(F&& f) {
    for (auto& named : module_->named_parameters()) {
      torch::Tensor& values = named.value();
      if (!values.grad().defined()) values.mutable_grad() = torch::zeros_like(values);
      const auto count = static_cast<std::size_t>(values.numel());
      const std::size_t rows = values.dim() < 2 ? 1 : static_cast<std::size_t>(values.size(0));
      f(maestro::ParameterView<T>{
          .name = named.key(),
          .values = {values.template mutable_data_ptr<T>(), count},
          .gradients = {values.mutable_grad().template mutable_data_ptr<T>(), count},
          .rows = rows,
          .cols = count / rows,
          .decay = values.dim() < 2 ? maestro::WeightDecay::skip : maestro::WeightDecay::apply});
    }
  }

 private:
  std::vector<std::int32_t> encode(const maestro::Prompt& prompt) const {
    std::vector<std::int32_t> tokens = tokenizer_.encode(prompt.text);
    if (tokens.empty()) {
      throw maestro::BadData("torch policy: data row " + std::to_string(prompt.row) + " has a prompt without text");
    }
    return tokens;
  }

  void draw_group(maestro::Rollouts& rollouts, std::size_t n, const maestro::Sampling& sampling,
                  const maestro::DrawKey& key) const {
    struct Response {
      std::vector<std::int32_t> tokens;
      std::vector<float> log_probs, entropies;
      maestro::Finish finish = maestro::Finish::length;
    };
    maestro::Sampler<T> sampler(sampling);
    std::vector<Response> responses(sampling.num_generations);
    const std::span<const std::int32_t> prompt = rollouts.prompt_tokens.row(n);
    const auto group = static_cast<std::int64_t>(responses.size());
    const auto length = static_cast<std::int64_t>(prompt.size());
    torch::Tensor tokens = torch::tensor(std::vector<std::int64_t>(prompt.begin(), prompt.end())).repeat({group, 1});
    std::size_t open = responses.size();
    for (std::uint32_t t = 0; open > 0 && t < sampling.max_completion_length; ++t) {
      const torch::Tensor logits = module_->forward(tokens).first.select(1, length + t - 1).contiguous();
      torch::Tensor next = torch::zeros({group, 1}, torch::kInt64);
      for (std::int64_t g = 0; g < group; ++g) {
        Response& response = responses[static_cast<std::size_t>(g)];
        if (response.finish == maestro::Finish::stop) continue;
        const auto stream =
            maestro::token_stream(key, rollouts, rollouts.groups.begin(n) + static_cast<std::size_t>(g));
        const std::span<const T> row(logits[g].template const_data_ptr<T>(), static_cast<std::size_t>(logits.size(1)));
        const maestro::SampledToken drawn = sampler.draw(row, stream, t);
        response.tokens.push_back(drawn.token);
        response.log_probs.push_back(static_cast<float>(drawn.log_prob));
        response.entropies.push_back(static_cast<float>(drawn.entropy));
        next[g][0] = drawn.token;
        if (drawn.token == tokenizer_.end_token() || std::ranges::count(sampling.stop_tokens, drawn.token) > 0) {
          response.finish = maestro::Finish::stop;
          --open;
        }
      }
      tokens = torch::cat({tokens, next}, 1);
    }
    for (const Response& response : responses) {
      rollouts.tokens.push_row(response.tokens);
      rollouts.log_probs.insert(rollouts.log_probs.end(), response.log_probs.begin(), response.log_probs.end());
      rollouts.entropies.insert(rollouts.entropies.end(), response.entropies.begin(), response.entropies.end());
      rollouts.finish.push_back(response.finish);
      rollouts.texts.push_back(tokenizer_.decode(response.tokens));
    }
  }

  /// The tokens of a group's responses behind its prompt, padded with 0.
  torch::Tensor sequences(const maestro::Rollouts& rollouts, std::size_t n) const {
    const std::span<const std::int32_t> prompt = rollouts.prompt_tokens.row(n);
    std::vector<torch::Tensor> rows;
    for (std::size_t i = rollouts.groups.begin(n); i < rollouts.groups.end(n); ++i) {
      std::vector<std::int64_t> row(prompt.begin(), prompt.end());
      row.insert(row.end(), rollouts.tokens.row(i).begin(), rollouts.tokens.row(i).end());
      rows.push_back(torch::tensor(row));
    }
    return torch::nn::utils::rnn::pad_sequence(rows, true);
  }

  void fill_hidden(maestro::Rollouts& rollouts, std::size_t n) const {
    const torch::Tensor hidden = module_->forward(sequences(rollouts, n)).second.to(torch::kFloat32);
    const std::size_t begin = rollouts.groups.begin(n);
    for (std::size_t i = begin; i < rollouts.groups.end(n); ++i) {
      const std::size_t last = rollouts.prompt_tokens.length(n) + rollouts.tokens.length(i) - 1;
      copy(hidden[static_cast<std::int64_t>(i - begin)][static_cast<std::int64_t>(last)], rollouts.hidden.row(i));
    }
  }

  /// Log-probs and entropies of every response token of the groups in range.
  std::pair<torch::Tensor, torch::Tensor> values_of(const maestro::Rollouts& rollouts,
                                                    maestro::GroupRange range) const {
    maestro::require(range.first <= range.last && range.last <= rollouts.groups.count(),
                     "torch policy: the batch has no such groups");
    std::vector<torch::Tensor> log_probs{torch::empty({0}, torch::CppTypeToScalarType<T>::value)};
    std::vector<torch::Tensor> entropies = log_probs;
    for (std::size_t n = range.first; n < range.last; ++n) {
      const torch::Tensor tokens = sequences(rollouts, n);
      const auto prompt = static_cast<std::int64_t>(rollouts.prompt_tokens.length(n));
      const torch::Tensor logits = module_->forward(tokens).first.slice(1, prompt - 1, tokens.size(1) - 1);
      const torch::Tensor all = torch::log_softmax(logits / rollouts.temperature, -1);
      const torch::Tensor drawn = all.gather(2, tokens.slice(1, prompt).unsqueeze(2)).squeeze(2);
      const torch::Tensor entropy = -(all.exp() * all).sum(-1);
      for (std::size_t i = rollouts.groups.begin(n); i < rollouts.groups.end(n); ++i) {
        const auto row = static_cast<std::int64_t>(i - rollouts.groups.begin(n));
        const auto length = static_cast<std::int64_t>(rollouts.tokens.length(i));
        log_probs.push_back(drawn[row].slice(0, 0, length));
        entropies.push_back(entropy[row].slice(0, 0, length));
      }
    }
    return {torch::cat(log_probs), torch::cat(entropies)};
  }

  static void copy(const torch::Tensor& from, std::span<float> to) {
    const torch::Tensor values = from.detach().to(torch::kFloat32).contiguous();
    maestro::require(static_cast<std::size_t>(values.numel()) == to.size(),
                     "torch policy: the span has room for another number of tokens");
    std::copy_n(values.const_data_ptr<float>(), to.size(), to.begin());
  }
  static torch::Tensor like(const torch::Tensor& values, std::span<const float> from) {
    maestro::require(static_cast<std::size_t>(values.numel()) == from.size(),
                     "torch policy: backward needs one gradient per token of the last forward");
    return torch::tensor(std::vector<float>(from.begin(), from.end())).to(values.scalar_type());
  }

  std::shared_ptr<Module> module_;
  Tok tokenizer_;
  std::size_t hidden_size_;
  torch::Tensor kept_log_probs_;
  torch::Tensor kept_entropies_;
};
