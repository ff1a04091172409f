"""One policy update on rollouts of fixed lengths, as a PyTorch user writes it with transformers and TRL's helpers."""

import torch
from trl.trainer.utils import selective_log_softmax

from flops import training_flops
from inputs import fixed_advantages, fixed_prompts, fixed_responses
from models import make_model, parameters
from protocol import serve


def grpo_loss(model, tokens, responses, advantages):
    """TRL's loss with its defaults (dapo reduction, clip 0.2), on-policy: the old log-probs are the pass's own."""
    # The last token predicts nothing, and logits are needed for response tokens only.
    logits = model(input_ids=tokens[:, :-1], use_cache=False, logits_to_keep=responses.size(1)).logits
    log_probs = selective_log_softmax(logits, responses)
    ratio = torch.exp(log_probs - log_probs.detach())
    clipped = torch.clamp(ratio, 0.8, 1.2)
    return -torch.min(ratio * advantages, clipped * advantages).sum() / responses.numel()


def run(options):
    model = make_model(options).train()
    config = model.config
    sequences = options.groups * options.generations
    prompts = fixed_prompts(config.vocab_size, options.groups, options.generations, options.prompt)
    responses = fixed_responses(config.vocab_size, sequences, options.response)
    tokens = torch.cat([prompts, responses], dim=1)
    advantages = fixed_advantages(sequences).unsqueeze(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.0, fused=True)
    loss_of = torch.compile(grpo_loss, dynamic=False) if options.peer == "compiled" else grpo_loss

    def repetition():
        loss = loss_of(model, tokens, responses, advantages)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return {
            "tokens": responses.numel(),
            "gflop": training_flops(config, sequences, options.prompt, options.response) * 1e-9,
            "checks": {"loss": loss.item(), "grad_norm": norm.item()},
        }

    serve({"parameters": parameters(model)}, repetition, options)
