"""Statistics of every reward in every group: bench/cuda/statistics.cu in PyTorch."""

import itertools

import torch

from device_inputs import Purpose, uniform
from serving import begin_call, compiled, timed


def moments(grouped):
    deviation, mean = torch.std_mean(grouped, dim=1)
    least, largest = torch.aminmax(grouped, dim=1)
    return {"mean": mean, "deviation": deviation, "least": least, "largest": largest}


def covariance_of(grouped):
    deviations = grouped - grouped.mean(dim=1, keepdim=True)
    return deviations.transpose(1, 2) @ deviations / (grouped.size(1) - 1)


def ranks_by_pairs(grouped):
    """Mid-ranks over G - 1: every pair of a group is compared."""
    own = grouped.unsqueeze(2)
    other = grouped.unsqueeze(1)
    below = (other < own).sum(dim=2)
    equal = (other == own).sum(dim=2)
    return (below + 0.5 * (equal - 1)).double() / (grouped.size(1) - 1)


def ranks_by_sorting(grouped):
    values = grouped.transpose(1, 2).contiguous()
    ordered = values.sort(dim=2).values
    below = torch.searchsorted(ordered, values)
    upto = torch.searchsorted(ordered, values, right=True)
    return (0.5 * (below + upto - 1)).double().transpose(1, 2).contiguous() / (grouped.size(1) - 1)


def make(options, reference):
    count = options.rewards
    rewards = uniform(Purpose.REWARDS, options.rows * count, options.device).view(-1, options.group, count)
    inputs = [rewards.clone() for _ in range(options.copies)]

    def with_ranks(ranks):
        def all_of(grouped):
            return {**moments(grouped), "covariance": covariance_of(grouped), "ranks": ranks(grouped)}

        return all_of

    def caller(plain):
        function = compiled(plain, options)
        turns = itertools.cycle(inputs)

        def call():
            begin_call(options)
            with torch.no_grad():
                return function(next(turns))

        return call

    info = {}
    if options.variant == "all":  # the faster way of ranking, here and now
        calls = {ranks.__name__: caller(with_ranks(ranks)) for ranks in (ranks_by_pairs, ranks_by_sorting)}
        seconds = {}
        for name, call in calls.items():
            timed(call, 3, options)
            seconds[name] = timed(call, 5, options) / 5
        info["ranks"] = min(seconds, key=seconds.get)
        call = calls[info["ranks"]]
    else:
        call = caller(moments)
    for name, values in call().items():
        reference.check(name, values, 1e-4, dtype=torch.float64 if name == "ranks" else torch.float32)
    return call, info
