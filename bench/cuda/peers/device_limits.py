"""What the device can do: the rate of reading memory and of matrix products, by PyTorch, and the versions. JSON."""

import platform

import torch

from serving import say, timed


def best_seconds(call, options, repetitions=10, calls=10):
    timed(call, calls, options)
    return min(timed(call, calls, options) for _ in range(repetitions)) / calls


def run(options):
    found = {"versions": {"torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version()}}
    if options.device == "cpu":
        say({**found, "read_gbytes_per_second": None, "gemm_gflops": {}})
        return
    found["versions"]["triton"] = __import__("triton").__version__
    count = 1 << 28  # 1 GiB of floats
    values = torch.ones(count, device=options.device)
    to = torch.empty_like(values)
    gbytes = 4e-9 * count
    rates = {
        "sum of 1 GiB": gbytes / best_seconds(lambda: values.sum(), options),
        "copy of 1 GiB": 2.0 * gbytes / best_seconds(lambda: to.copy_(values), options),
    }
    found["gbytes_per_second"] = rates
    found["read_gbytes_per_second"] = max(rates.values())
    found["gemm_gflops"] = {}
    size = 8192
    for name, dtype in (("float", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.randn(size, size, device=options.device, dtype=dtype)
        b = torch.randn(size, size, device=options.device, dtype=dtype)
        seconds = best_seconds(lambda: torch.nn.functional.linear(a, b), options, 5, 3)
        found["gemm_gflops"][name] = 2e-9 * size**3 / seconds
    say(found)
