"""Hidden states and rewards to actions, weights and advantages: bench/cuda/chain.cu in PyTorch. Sampling is the race of
exponentials that torch.multinomial runs for one sample, without its checks."""

import torch

from device_inputs import LOG_TEMPERATURE, Purpose, hidden_states, layers, uniform
from serving import begin_call, compiled, keep_addresses

EPSILON = 1e-4
STRENGTH = 0.5


def decide(hidden, weight, bias, log_tau):
    """Probabilities (B x K): softmax of the head's logits, mixed with the floor."""
    logits = torch.nn.functional.linear(hidden, weight, bias).float() / log_tau.exp()
    count = logits.size(1)
    return EPSILON + (1.0 - count * EPSILON) * torch.softmax(logits, dim=1)


def draw(probabilities):
    return (probabilities / torch.empty_like(probabilities).exponential_()).argmax(dim=1)


def finish(probabilities, actions, rewards, group, blended):
    """Weights (B x K) and advantages (B)."""
    chosen = actions.unsqueeze(1) == torch.arange(rewards.size(1), device=rewards.device)
    weights = chosen.float()
    if blended:
        weights = (1.0 - STRENGTH) * probabilities + STRENGTH * weights
    scalar = (rewards * weights).sum(dim=1).view(-1, group)
    deviation, mean = torch.std_mean(scalar, dim=1, keepdim=True)
    return weights, ((scalar - mean) / (deviation + 1e-4)).view(-1)


def make(options, reference):
    hidden = hidden_states(options)
    # In bfloat16 the weights are rounded outside the timing, as ours are.
    weight, bias = (p.to(hidden.dtype) for p in layers(options.inputs, [options.rewards], options.device))
    log_tau = torch.tensor(LOG_TEMPERATURE, device=options.device)
    rewards = uniform(Purpose.REWARDS, options.rows * options.rewards, options.device).view(-1, options.rewards)
    keep_addresses(options, hidden, weight, bias, log_tau, rewards)
    blended = options.variant == "blended"

    def chain(hidden, weight, bias, log_tau, rewards):
        probabilities = decide(hidden, weight, bias, log_tau)
        actions = draw(probabilities)
        return probabilities, actions, *finish(probabilities, actions, rewards, options.group, blended)

    function = compiled(chain, options)

    def call():
        begin_call(options)
        with torch.no_grad():
            return function(hidden, weight, bias, log_tau, rewards)

    probabilities, actions, _, _ = call()
    # PyTorch's product in bfloat16 rounds the logits to it; ours keeps them in float.
    reference.check("probabilities", probabilities, 2e-2 if options.type == "bf16" else 1e-4)
    reference.check_counts("their actions", actions, probabilities)
    ours = reference.read("probabilities").view(-1, options.rewards)
    drawn = reference.read("actions", torch.int32)
    reference.check_counts("our actions", drawn, ours)
    weights, advantages = finish(ours, drawn, rewards, options.group, blended)
    reference.check("weights", weights, 1e-5)
    reference.check("advantages", advantages, 1e-4)
    return call, {}
