"""The models that the benchmarks run, by name, in transformers: mirrors common/models.hpp."""

import torch
from transformers import AutoModelForCausalLM, LlamaConfig


def _llama(vocabulary, hidden, layers, heads, kv_heads, intermediate):
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=64,
        intermediate_size=intermediate,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=256,
        pad_token_id=256,
        attn_implementation="sdpa",
    )


_RANDOM = {
    "25m": (16384, 384, 12, 6, 2, 1024),
    "135m": (49152, 576, 30, 9, 3, 1536),
    "v152k-d256": (151936, 256, 4, 4, 2, 1024),
    "v152k-d896": (151936, 896, 4, 14, 2, 4864),
}


def make_model(options):
    """The model of the folder, or one of random weights where there is none."""
    if options.folder:
        model = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32, attn_implementation="sdpa")
    else:
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(_llama(*_RANDOM[options.model]), dtype=torch.float32)
    positions = options.prompt + options.response
    model.config.max_position_embeddings = max(model.config.max_position_embeddings, positions)
    return model


def parameters(model):
    """A tied head counts once."""
    return sum(p.numel() for p in model.parameters())
