"""Rewards and weights of many responses to advantages: in PyTorch, vectorized, and by TRL's own arithmetic."""

import torch
from trl.trainer.utils import nanstd

from inputs import fixed_values, scramble
from protocol import serve

NUM_REWARDS = 5
EMPHASIS = 0.5


def group_relative(rewards, weights, group):
    """(B x K) rewards and weights, grouped: R = sum_k w_k r_k, A = (R - mean) / (deviation + 1e-4)."""
    scalar = (rewards * weights).sum(dim=-1).view(-1, group)
    deviation, mean = torch.std_mean(scalar, dim=1, keepdim=True)
    return ((scalar - mean) / (deviation + 1e-4)).view(-1), scalar.view(-1)


def counterfactual(rewards, weights, base, group):
    """And the advantage of each response had it drawn another action while the others keep theirs (B x K)."""
    count = rewards.size(1)
    scalar = (rewards * weights).sum(dim=-1).view(-1, group)
    variance, mean = torch.var_mean(scalar, dim=1, keepdim=True)
    advantages = (scalar - mean) / (variance.sqrt() + 1e-4)
    own = scalar.view(-1, group, 1)
    other = ((rewards * base).sum(dim=-1, keepdim=True) + EMPHASIS * rewards).view(-1, group, count)
    old_mean = mean.unsqueeze(-1)
    new_mean = old_mean + (other - own) / group
    squares = (group - 1) * variance.unsqueeze(-1) + (other - own) * ((other - new_mean) + (own - old_mean))
    deviation = (squares.clamp(min=0.0) / (group - 1)).sqrt()
    return advantages.view(-1), scalar.view(-1), ((other - new_mean) / (deviation + 1e-4)).view(-1, count)


def own_weight(rewards, weights, group):
    """A_i = w_i.(r_i - mean r) / sqrt(w_i' C w_i + 1e-8) with C the group's covariance, minus the group's mean A."""
    count = rewards.size(1)
    grouped = rewards.view(-1, group, count)
    w = weights.view(-1, group, count)
    deviations = grouped - grouped.mean(dim=1, keepdim=True)
    covariance = deviations.transpose(1, 2) @ deviations / (group - 1)
    variance = ((w @ covariance) * w).sum(dim=-1)
    advantages = (w * deviations).sum(dim=-1) / torch.sqrt(variance + 1e-8)
    advantages = advantages - advantages.mean(dim=1, keepdim=True)
    return advantages.view(-1), (grouped * w).sum(dim=-1).view(-1)


def trl(rewards, reward_weights, group):
    """The steps of TRL 1.16's GRPOTrainer for sum_then_normalize and scale_rewards="group": one weight per reward, for
    all responses, and care for missing rewards. What it logs beside that is left out."""
    missing = torch.isnan(rewards).all(dim=1)
    scalar = (rewards * reward_weights.unsqueeze(0)).nansum(dim=1)
    scalar[missing] = torch.nan
    mean = torch.nanmean(scalar.view(-1, group), dim=1).repeat_interleave(group, dim=0)
    deviation = nanstd(scalar.view(-1, group), dim=1).repeat_interleave(group, dim=0)
    return torch.nan_to_num((scalar - mean) / (deviation + 1e-4), nan=0.0), scalar


def run(options):
    group = options.generations
    rows = options.rows // group * group
    rewards = fixed_values(0, rows * NUM_REWARDS).view(rows, NUM_REWARDS)
    actions = scramble(torch.arange(5000000029, 5000000029 + rows)) % NUM_REWARDS
    base = torch.full((rows, NUM_REWARDS), 0.5 / NUM_REWARDS)
    weights = base.scatter_add(1, actions.unsqueeze(1), torch.full((rows, 1), EMPHASIS))
    works = {
        "group_relative": (group_relative, (rewards, weights, group)),
        "counterfactual": (counterfactual, (rewards, weights, base, group)),
        "own_weight": (own_weight, (rewards, weights, group)),
    }
    function, arguments = works[options.variant]
    if options.peer == "trl":
        function, arguments = trl, (rewards, torch.full((NUM_REWARDS,), 1.0 / NUM_REWARDS), group)
    elif options.peer == "compiled":
        function = torch.compile(function, dynamic=False)

    def repetition():
        with torch.inference_mode():
            function(*arguments)
        return {"tokens": rows}

    info = {}
    if options.peer != "trl":  # TRL has no weights per response, so its advantages are others
        with torch.inference_mode():
            info["checks"] = checks(function(*arguments), rows)
    serve(info, repetition, options)


def checks(outputs, rows):
    """Figures that tell whether both sides computed the same."""
    factors = (torch.arange(rows) % 7 + 1).double()
    figures = {"advantage": (factors * outputs[0].double() ** 2).mean().item(), "counterfactual": 0.0}
    if len(outputs) > 2:
        chosen = outputs[2].gather(1, (torch.arange(rows) % NUM_REWARDS).unsqueeze(1)).squeeze(1)
        figures["counterfactual"] = (factors * chosen.double() ** 2).mean().item()
    return figures
