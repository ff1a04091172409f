"""Simple rewards of a text, as TRL wants them: mirrors work/text_rewards.hpp."""

import re


def _share(part, whole):
    return part / whole if whole else 0.0


def _count(text, characters):
    return sum(map(text.count, characters))


_VOWELS = "aeiouAEIOU"
_DIGITS = "0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BLANKS = re.compile("[ \t\n\r\f\v]+")


def tags(completions, **_):
    names = ("<think>", "</think>", "<answer>", "</answer>")
    return [_share(sum(text.count(name) == 1 for name in names), 4) for text in completions]


def token_target(completion_ids, **_):
    return [max(-1.0, -abs(len(ids) - 96.0) / 96.0) for ids in completion_ids]


def vowels(completions, **_):
    return [_share(_count(text, _VOWELS), _count(text, _LETTERS)) for text in completions]


def digits(completions, **_):
    return [_share(_count(text, _DIGITS), _count(text, _DIGITS + _LETTERS)) for text in completions]


def distinct_words(completions, **_):
    scores = []
    for text in completions:
        words = [word for word in _BLANKS.split(text) if word]
        scores.append(_share(len(set(words)), len(words)))
    return scores


REWARDS = (tags, token_target, vowels, digits, distinct_words)

_PROBES = (
    "<think>12 + 8 = 20</think><answer>20</answer>",
    "a cat and a dog\n and 3 birds",
    "",
    "<answer>7<answer> \t Good  good GOOD good\r\n1234567890",
)


def probe():
    """The rewards of some texts, so that both sides can be seen to reward alike."""
    ids = [list(text.encode()) for text in _PROBES]
    scores = {}
    for reward in REWARDS:
        for i, score in enumerate(reward(completions=list(_PROBES), completion_ids=ids)):
            scores[f"{reward.__name__} {i}"] = score
    return scores
