#pragma once

#include <torch/torch.h>

#include <utility>

/// A recurrent network over bytes: logits (G x S x 260) and hidden states (G x S x 64) of tokens (G x S).
struct CharModel : torch::nn::Cloneable<CharModel> {
  CharModel() { reset(); }
  void reset() override {
    embedding = register_module("embedding", torch::nn::Embedding(260, 32));
    recurrent = register_module("recurrent", torch::nn::GRU(torch::nn::GRUOptions(32, 64).batch_first(true)));
    head = register_module("head", torch::nn::Linear(64, 260));
  }
  std::pair<torch::Tensor, torch::Tensor> forward(const torch::Tensor& tokens) {
    const torch::Tensor hidden = std::get<0>(recurrent(embedding(tokens)));
    return {head(hidden), hidden};
  }
  torch::nn::Embedding embedding{nullptr};
  torch::nn::GRU recurrent{nullptr};
  torch::nn::Linear head{nullptr};
};
