"""Responses of fixed lengths by transformers' generate, with its key and value cache."""

import torch
from transformers import GenerationConfig

from flops import generation_flops
from inputs import fixed_prompts
from models import make_model, parameters
from protocol import serve

CACHED_BYTES = 64 << 20  # weights beyond this do not stay in the caches from one step to the next


def run(options):
    model = make_model(options).eval()
    if options.variant == "bf16":
        model = model.to(torch.bfloat16)
    config = model.config
    tokens = fixed_prompts(config.vocab_size, options.groups, options.generations, options.prompt)
    mask = torch.ones_like(tokens)
    settings = GenerationConfig(
        max_new_tokens=options.response,
        min_new_tokens=options.response,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        eos_token_id=None,
        pad_token_id=0,
        use_cache=True,
    )
    weight_bytes = parameters(model) * (2 if options.variant == "bf16" else 4)
    model.generation_config = settings
    gflop = generation_flops(config, len(tokens), options.prompt, options.response) * 1e-9
    gbytes = weight_bytes * options.response * 1e-9 if weight_bytes > CACHED_BYTES else 0.0

    def repetition():
        with torch.inference_mode():
            output = model.generate(input_ids=tokens, attention_mask=mask, generation_config=settings)
        drawn = output.size(0) * (output.size(1) - options.prompt)
        if drawn != len(tokens) * options.response:
            raise RuntimeError(f"generate drew {drawn} tokens instead of {len(tokens) * options.response}")
        return {"tokens": drawn, "gflop": gflop, "gbytes": gbytes}

    serve({"parameters": parameters(model)}, repetition, options)
