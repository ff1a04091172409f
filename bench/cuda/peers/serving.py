"""bench/cuda/serve.hpp's talk with the driver, in PyTorch."""

import os
import sys
import time

import torch

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "..", "peers"))

from protocol import say, wait_for_go  # noqa: E402

WARM_UP = 5


def compiled(function, options):
    """What the peer's kind makes of a function; `graphs` are CUDA graphs of compiled kernels."""
    if options.peer == "eager":
        return function
    if options.peer == "graphs":
        return torch.compile(function, dynamic=False, mode="reduce-overhead")
    return torch.compile(function, dynamic=False)


def keep_addresses(options, *tensors):
    """Tells CUDA graphs that these tensors stay where they are, so that no call copies them first."""
    if options.peer == "graphs":
        for tensor in tensors:
            torch._dynamo.mark_static_address(tensor)


def begin_call(options):
    """Tells CUDA graphs that the results of the call before are no longer needed."""
    if options.peer == "graphs":
        torch.compiler.cudagraph_mark_step_begin()


def wait(options):
    if options.device != "cpu":
        torch.cuda.synchronize()


def timed(call, calls, options, events=None):
    wait(options)
    start = time.perf_counter()
    if events:
        events[0].record()
    for _ in range(calls):
        call()
    if events:
        events[1].record()
    wait(options)
    return time.perf_counter() - start


def choose_calls(call, options):
    timed(call, 5, options)
    one = timed(call, 20, options) / 20
    return int(min(max(options.seconds / one, 5), 20000))


def repetition(call, calls, options):
    timed(call, calls // 10 + 1, options)
    events = None
    if options.device != "cpu":
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    line = {"seconds": timed(call, calls, options, events) / calls, "calls": calls}
    if events:
        line["event_seconds"] = 1e-3 * events[0].elapsed_time(events[1]) / calls
    return line


def serve(call, info, options):
    """Warms up, then serves until the input ends. The number of calls is found in the first repetition."""
    for _ in range(WARM_UP):
        call()
    wait(options)
    say(info)
    say("ready")
    calls = 0
    while wait_for_go():
        calls = calls or choose_calls(call, options)
        say(repetition(call, calls, options))
