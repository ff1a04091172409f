"""The GRPO loss with KL and its gradient: bench/cuda/loss.cu in PyTorch, on packed tokens and on padded ones."""

import torch

from device_inputs import Purpose, centered, scrambled, uniform
from serving import begin_call, compiled, keep_addresses

BETA = 0.04
CLIP = 0.2


def token_losses(log_probs, old, reference, advantages):
    ratio = (log_probs - old).exp()
    surrogate = torch.min(ratio * advantages, ratio.clamp(1.0 - CLIP, 1.0 + CLIP) * advantages)
    d = reference - log_probs
    return BETA * (d.exp() - 1.0 - d) - surrogate


def packed(log_probs, old, reference, advantages, rows, weights):
    """rows (t): the response of every token; weights (t): 1 / (tokens of the response x responses)."""
    return (weights * token_losses(log_probs, old, reference, advantages[rows])).sum()


def padded(log_probs, old, reference, advantages, mask, lengths):
    """(b x longest), mask 1 where there is a token."""
    losses = token_losses(log_probs, old, reference, advantages.unsqueeze(1)) * mask
    return (losses.sum(dim=1) / lengths).mean()


def make(options, reference):
    device = options.device
    lengths = 384 + scrambled(Purpose.LENGTHS, 0, options.rows, device) % 257
    tokens = int(lengths.sum())
    advantages = centered(Purpose.ADVANTAGES, options.rows, device)
    log_probs = -3.0 * uniform(Purpose.LOG_PROBS, tokens, device)
    old = log_probs + 0.4 * centered(Purpose.OLD_LOG_PROBS, tokens, device)
    of_reference = log_probs + 0.8 * centered(Purpose.REFERENCE_LOG_PROBS, tokens, device)
    rows = torch.repeat_interleave(torch.arange(options.rows, device=device), lengths)
    if options.form == "packed":
        weights = 1.0 / (lengths.float() * options.rows)
        inputs = [log_probs, old, of_reference, advantages, rows, weights[rows]]
    else:
        places = torch.arange(int(lengths.max()), device=device).unsqueeze(0) < lengths.unsqueeze(1)

        def spread(values):
            return torch.zeros(places.shape, device=device).masked_scatter_(places, values)

        inputs = [spread(log_probs), spread(old), spread(of_reference), advantages, places.float(), lengths.float()]
    inputs[0].requires_grad_()
    keep_addresses(options, *inputs)
    function = compiled(packed if options.form == "packed" else padded, options)

    def call():
        begin_call(options)
        loss = function(*inputs)
        return loss, torch.autograd.grad(loss, inputs[0])[0]

    loss, gradient = call()
    if options.form == "padded":
        gradient = gradient[places]
    reference.check("figures", loss.reshape(1), 1e-4, dtype=torch.float64)
    reference.check("gradients", gradient, 1e-4)
    return call, {"tokens": tokens}
