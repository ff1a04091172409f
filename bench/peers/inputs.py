"""Inputs that the programs in C++ and in Python compute alike: mirrors common/inputs.hpp."""

import torch


def scramble(index):
    """32 scrambled bits of each index (int64 tensor)."""
    mixed = (index * 2654435761 + 12345) & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


def fixed_values(first, count):
    """Numbers in [0, 1) that depend on their indices alone."""
    return (scramble(torch.arange(first, first + count)).double() / 4294967296.0).float()


def fixed_tokens(first, count, vocabulary):
    """Token ids below V - 16."""
    return scramble(torch.arange(first, first + count)) % (vocabulary - 16)


def fixed_prompts(vocabulary, groups, generations, prompt):
    """(groups * generations x prompt): each prompt once per response, as PyTorch runs it."""
    rows = [fixed_tokens(g * 100003, prompt, vocabulary) for g in range(groups)]
    return torch.stack(rows).repeat_interleave(generations, dim=0)


def fixed_responses(vocabulary, count, response):
    """(count x response)"""
    return torch.stack([fixed_tokens(7000003 + i * 4099, response, vocabulary) for i in range(count)])


def fixed_advantages(rows):
    """Advantages in [-1, 1)."""
    return 2.0 * fixed_values(900000001, rows) - 1.0
