"""Inputs that both sides compute alike, number by number: mirrors bench/cuda/inputs.hpp."""

import enum

import torch

LOG_TEMPERATURE = 0.25
NUM_ACTIONS = 5


class Purpose(enum.IntEnum):
    HIDDEN = 1
    PARAMETERS = 2
    REWARDS = 3
    BASE = 4
    ACTIONS = 5
    PROPENSITIES = 6
    META = 7
    LENGTHS = 8
    LOG_PROBS = 9
    OLD_LOG_PROBS = 10
    REFERENCE_LOG_PROBS = 11
    ADVANTAGES = 12
    LOGIT_GRADIENTS = 13


def scrambled(purpose, first, count, device):
    """32 scrambled bits of each index (int64)."""
    mask = 0xFFFFFFFF
    x = (torch.arange(first, first + count, device=device) + int(purpose) * 0x3779B97F) & mask
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & mask
    x = x ^ (x >> 15)
    x = (x * 0x5BD1E995) & mask
    return x ^ (x >> 16)


def uniform(purpose, count, device, first=0):
    """In [0, 1), multiples of 2^-24."""
    values = torch.empty(count, device=device)
    step = 1 << 24  # the integers take much more memory than the values
    for begin in range(0, count, step):
        size = min(step, count - begin)
        values[begin : begin + size] = (scrambled(purpose, first + begin, size, device) >> 8).float() / 16777216.0
    return values


def centered(purpose, count, device, first=0):
    """In [-1, 1)."""
    return uniform(purpose, count, device, first).mul_(2.0).sub_(1.0)


def hidden_states(options):
    """(B x d)"""
    values = centered(Purpose.HIDDEN, options.rows * options.inputs, options.device)
    return values.view(options.rows, options.inputs).to(hidden_type(options))


def hidden_type(options):
    return torch.bfloat16 if options.type == "bf16" else torch.float32


def actions(rows, rewards, device):
    return scrambled(Purpose.ACTIONS, 0, rows, device) % rewards


def layers(inputs, outputs, device):
    """[weight, bias, weight, bias, ...] of layers of these outputs."""
    found = []
    at = 0
    for out in outputs:
        scale = torch.tensor(3.0, dtype=torch.float32) / torch.tensor(float(inputs), dtype=torch.float32).sqrt()
        values = scale.item() * centered(Purpose.PARAMETERS, (inputs + 1) * out, device, at)
        found += [values[: inputs * out].view(out, inputs).clone(), values[inputs * out :].clone()]
        at += (inputs + 1) * out
        inputs = out
    return found


def head_outputs(options):
    return ([options.width] if options.width else []) + [NUM_ACTIONS]

