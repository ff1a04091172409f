"""Floating-point operations of the peers' matrix products and attention: mirrors common/flops.hpp.

PyTorch runs each prompt once per response, and keeps the logits for the backward pass instead of computing them again.
"""


def _layer_parameters(c):
    queries = c.num_attention_heads * c.head_dim
    keys = c.num_key_value_heads * c.head_dim
    return c.num_hidden_layers * c.hidden_size * (2 * queries + 2 * keys + 3 * c.intermediate_size)


def _pair_flops(c):
    return 4 * c.num_hidden_layers * c.num_attention_heads * c.head_dim


def training_flops(c, sequences, prompt, response):
    rows = prompt + response - 1
    pairs = sequences * rows * (rows + 1) / 2
    layers = 6 * sequences * rows * _layer_parameters(c) + 3.5 * _pair_flops(c) * pairs
    return layers + 6 * sequences * response * c.vocab_size * c.hidden_size


def lora_training_flops(c, sequences, prompt, response, factors):
    rows = sequences * (prompt + response - 1)
    head = sequences * response * c.vocab_size * c.hidden_size
    full = training_flops(c, sequences, prompt, response)
    return full - 2 * rows * _layer_parameters(c) - 2 * head + 6 * rows * factors


def generation_flops(c, sequences, prompt, response):
    fed = prompt + response - 1  # the last token is not fed
    layers = sequences * (2 * fed * _layer_parameters(c) + _pair_flops(c) * fed * (fed + 1) / 2)
    return layers + 2 * sequences * response * c.vocab_size * c.hidden_size
