"""One policy update on rollouts of fixed lengths, as a PyTorch user writes it with transformers and TRL's helpers."""

import torch
from trl.trainer.utils import add_fused_lm_head, selective_log_softmax

from flops import lora_training_flops, training_flops
from inputs import fixed_advantages, fixed_prompts, fixed_responses, fixed_values
from models import make_model
from protocol import serve


def plain_log_probs(model, tokens, responses):
    """Logits for the response tokens, then TRL's selective_log_softmax."""
    # The last token predicts nothing.
    logits = model(input_ids=tokens[:, :-1], use_cache=False, logits_to_keep=responses.size(1)).logits
    return selective_log_softmax(logits, responses)


def fused_log_probs(model, tokens, responses):
    """TRL's fused head, as its GRPOTrainer calls it: in tiles, without a tensor of all logits."""
    labels = tokens.clone()
    labels[:, : -responses.size(1)] = -100
    return model(input_ids=tokens, labels=labels, fused_lm_head=True).log_probs[:, -responses.size(1) :]


def grpo_loss(log_probs, advantages):
    """TRL's loss with its defaults (dapo reduction, clip 0.2), on-policy: the old log-probs are the pass's own."""
    ratio = torch.exp(log_probs - log_probs.detach())
    clipped = torch.clamp(ratio, 0.8, 1.2)
    return -torch.min(ratio * advantages, clipped * advantages).sum() / log_probs.numel()


def add_adapters(model):
    """PEFT's LoRA of rank 16 on every projection, with the factors that our side has."""
    from peft import LoraConfig, get_peft_model

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=targets, task_type="CAUSAL_LM"))
    first = 0
    for name, parameter in model.named_parameters():
        if "lora_A" in name:
            parameter.data = 0.1 * fixed_values(first, parameter.numel()).view(parameter.shape) - 0.05
            first += parameter.numel()
    return model


def run(options):
    model = make_model(options).train()
    config = model.config
    if options.variant == "lora":
        model = add_adapters(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    sequences = options.groups * options.generations
    prompts = fixed_prompts(config.vocab_size, options.groups, options.generations, options.prompt)
    responses = fixed_responses(config.vocab_size, sequences, options.response)
    tokens = torch.cat([prompts, responses], dim=1)
    advantages = fixed_advantages(sequences).unsqueeze(1)
    optimizer = torch.optim.AdamW(trained, lr=1e-6, weight_decay=0.0, fused=True)
    log_probs_of = plain_log_probs
    if options.peer == "compiled":
        # The layers alone: with the loss inside, the compiled step was slower than the eager one.
        model.model.compile(dynamic=False)
    elif options.peer == "fused_head":
        add_fused_lm_head(model)
        log_probs_of = fused_log_probs

    shape = (config, sequences, options.prompt, options.response)
    lora = options.variant == "lora"
    factors = sum(p.numel() for p in trained)
    gflop = (lora_training_flops(*shape, factors) if lora else training_flops(*shape)) * 1e-9

    def repetition():
        loss = grpo_loss(log_probs_of(model, tokens, responses), advantages)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return {
            "tokens": responses.numel(),
            "gflop": gflop,
            "checks": {"loss": loss.item(), "grad_norm": norm.item()},
        }

    serve({"parameters": factors}, repetition, options)
