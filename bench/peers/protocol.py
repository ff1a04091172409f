"""The protocol between driver.py and the programs that work: mirrors work/protocol.hpp."""

import json
import sys
import time


def say(line):
    print(line if isinstance(line, str) else json.dumps(line), flush=True)


def reset_peak_memory():
    """From here on the peak counts anew; where the kernel refuses, it stays that of the whole process."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def memory_status(name):
    """A line of /proc/self/status in bytes."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


class Measurement:
    """Seconds and memory of what happens until `figures` is called."""

    def __init__(self):
        reset_peak_memory()
        self._before = memory_status("VmRSS")
        self._start = time.perf_counter()

    def figures(self, figures, inner=1):
        seconds = (time.perf_counter() - self._start) / inner
        memory = {"resident_before_bytes": self._before, "peak_bytes": memory_status("VmHWM")}
        return {"seconds": seconds, **figures, **memory}


def wait_for_go():
    """False at the end of the input."""
    line = sys.stdin.readline()
    if line and line.strip() != "go":
        raise ValueError(f"the only command is 'go', got {line.strip()!r}")
    return bool(line)


def serve(info, repetition, options):
    """Warms up, then serves until the input ends."""
    for _ in range(options.warmup):
        repetition()
    say(info)
    say("ready")
    while wait_for_go():
        measurement = Measurement()
        for _ in range(options.inner):
            figures = repetition()
        say(measurement.figures(figures, options.inner))
