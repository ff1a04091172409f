"""PyTorch's matrix products, in the shapes of bench/limits.cpp, and the versions of the peers. Prints JSON."""

import importlib.metadata
import platform
import time

import torch

from inputs import fixed_values
from protocol import say

SHAPES = ((2048, 2048, 2048), (1088, 576, 1536))


def best_seconds(function):
    """The least seconds of one call, over at least half a second of calls and at least five."""
    function()
    taken = []
    while len(taken) < 5 or sum(taken) < 0.5:
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return min(taken)


def run(options):
    rates = {}
    for m, k, n in SHAPES:
        a = fixed_values(0, m * k).view(m, k) - 0.5
        b = fixed_values(0, n * k).view(n, k) - 0.5
        with torch.inference_mode():
            rates[f"{m}x{k}x{n}"] = 2e-9 * m * k * n / best_seconds(lambda: torch.nn.functional.linear(a, b))
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "trl")}
    versions["python"] = platform.python_version()
    say({"threads": torch.get_num_threads(), "gemm_gflops": rates, "versions": versions})
