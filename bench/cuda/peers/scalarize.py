"""Rewards and weights of many responses to advantages: bench/cuda/scalarize.cu in PyTorch, vectorized over groups."""

import itertools

import torch

from device_inputs import Purpose, actions, uniform
from serving import begin_call, compiled

EMPHASIS = 0.5
NUM_REWARDS = 5


def other_scalars(values, base):
    """(B x K) the scalar reward of each response had it drawn action k."""
    return (values * base).sum(dim=-1, keepdim=True) + EMPHASIS * values


def replaced(mean, variance, count, own, other):
    """Mean and deviation (ddof 1) of `count` values of these moments once one of them, `own`, has become `other`."""
    new_mean = mean + (other - own) / count
    squares = (count - 1) * variance + (other - own) * ((other - new_mean) + (own - mean))
    return new_mean, (squares.clamp(min=0.0) / (count - 1)).sqrt()


def group_relative(rewards, weights, base, group):
    """R = sum_k w_k r_k, A = (R - mean) / (deviation + 1e-4)."""
    scalar = (rewards * weights).sum(dim=-1).view(-1, group)
    if base is None:
        deviation, mean = torch.std_mean(scalar, dim=1, keepdim=True)
        return (((scalar - mean) / (deviation + 1e-4)).view(-1),)
    variance, mean = torch.var_mean(scalar, dim=1, keepdim=True)
    advantages = (scalar - mean) / (variance.sqrt() + 1e-4)
    other = other_scalars(rewards, base).view(-1, group, NUM_REWARDS)
    new_mean, deviation = replaced(mean.unsqueeze(-1), variance.unsqueeze(-1), group, scalar.unsqueeze(-1), other)
    return advantages.view(-1), ((other - new_mean) / (deviation + 1e-4)).view(-1, NUM_REWARDS)


def gdpo(rewards, weights, base, group):
    """z-scores of every reward in its group, their weighted sum, then its z-score in the batch."""
    grouped = rewards.view(-1, group, NUM_REWARDS)
    deviation, mean = torch.std_mean(grouped, dim=1, keepdim=True)
    z = ((grouped - mean) / (deviation + 1e-4)).view(-1, NUM_REWARDS)
    scalar = (z * weights).sum(dim=-1)
    variance, mean = torch.var_mean(scalar)
    advantages = (scalar - mean) / (variance.sqrt() + 1e-4)
    if base is None:
        return (advantages,)
    other = other_scalars(z, base)
    new_mean, deviation = replaced(mean, variance, scalar.numel(), scalar.unsqueeze(-1), other)
    return advantages, (other - new_mean) / (deviation + 1e-4)


def own_weight(rewards, weights, base, group):
    """A_i = w_i.(r_i - mean r) / sqrt(w_i' C w_i + 1e-8) with C the group's covariance, minus the group's mean A."""
    grouped = rewards.view(-1, group, NUM_REWARDS)
    w = weights.view(-1, group, NUM_REWARDS)
    deviations = grouped - grouped.mean(dim=1, keepdim=True)
    covariance = deviations.transpose(1, 2) @ deviations / (group - 1)
    variance = ((w @ covariance) * w).sum(dim=-1)
    before = (w * deviations).sum(dim=-1) / torch.sqrt(variance + 1e-8)
    mean = before.mean(dim=1, keepdim=True)
    advantages = (before - mean).view(-1)
    if base is None:
        return (advantages,)
    b = base.view(-1, group, NUM_REWARDS)
    spread = b @ covariance
    along = (b * deviations).sum(dim=-1, keepdim=True) + EMPHASIS * deviations
    diagonal = covariance.diagonal(dim1=1, dim2=2).unsqueeze(1)
    variance = (spread * b).sum(dim=-1, keepdim=True) + 2.0 * EMPHASIS * spread + EMPHASIS**2 * diagonal
    after = along / torch.sqrt(variance + 1e-8)
    after = after - (mean.unsqueeze(-1) + (after - before.unsqueeze(-1)) / group)
    return advantages, after.view(-1, NUM_REWARDS)


FUNCTIONS = {"group_relative": group_relative, "gdpo": gdpo, "own_weight": own_weight}


def make(options, reference):
    suffix = "_counterfactual"
    name = options.variant.removesuffix(suffix)
    counterfactual = options.variant.endswith(suffix)
    count = options.rows * NUM_REWARDS
    rewards = uniform(Purpose.REWARDS, count, options.device).view(-1, NUM_REWARDS)
    base = 0.2 * uniform(Purpose.BASE, count, options.device).view(-1, NUM_REWARDS)
    drawn = actions(options.rows, NUM_REWARDS, options.device).unsqueeze(1)
    weights = base.scatter_add(1, drawn, torch.full_like(drawn, EMPHASIS, dtype=base.dtype))
    inputs = [
        (rewards.clone(), weights.clone(), base.clone() if counterfactual else None) for _ in range(options.copies)
    ]
    turns = itertools.cycle(inputs)
    function = compiled(FUNCTIONS[name], options)

    def call():
        begin_call(options)
        with torch.no_grad():
            return function(*next(turns), options.group)

    found = call()
    reference.check("advantages", found[0], 1e-4)
    if counterfactual:
        reference.check("counterfactuals", found[1], 1e-4)
    return call, {}
