"""Runs a case: all sides in turn, A B A B, after a check that they do the same work."""

import math
import os

from harness.sides import SideError

# Waiting threads that sleep, and PyTorch's default, threads that spin first: which is better depends on what else the
# machine does.
WAIT_POLICIES = ({"OMP_WAIT_POLICY": "passive"}, {})


def calibrate(workshop, cases, log):
    """Gives the peers the wait policy that is faster for them here and now, for each kind of work, tried on its first
    case. An OMP_WAIT_POLICY of the caller's stays as it is."""
    if "OMP_WAIT_POLICY" in os.environ:
        return {}
    tried = {}
    for case in cases:
        work = case.options["work"]
        side = next((s for s in case.sides if s.peer in ("eager", "trl")), None)
        if work in workshop.peer_environment or side is None:
            continue
        seconds = []
        for environment in WAIT_POLICIES:
            process = workshop.start(case, side, environment)
            try:
                seconds.append(min(process.go()["seconds"] for _ in range(3)))
            finally:
                process.stop()
        best = seconds.index(min(seconds))
        workshop.peer_environment[work] = WAIT_POLICIES[best]
        names = [e.get("OMP_WAIT_POLICY", "default") for e in WAIT_POLICIES]
        tried[work] = {"seconds": dict(zip(names, seconds)), "chosen": names[best]}
        log(f"  {work}: peers wait {names[best]} (" + ", ".join(f"{n} {s:.3f} s" for n, s in zip(names, seconds)) + ")")
    return tried


def run_case(workshop, case):
    """One list of repetitions per side. @raises SideError"""
    results = [{"label": s.label, "peer": s.peer, "info": {}, "repetitions": []} for s in case.sides]
    if case.fresh:
        for _ in range(case.repetitions):
            for side, result in zip(case.sides, results):
                process = workshop.start(case, side)
                try:
                    result["info"] = process.info
                    result["repetitions"].append(process.go())
                finally:
                    process.stop()
        return results
    processes = []
    try:
        for side, result in zip(case.sides, results):
            processes.append(workshop.start(case, side))
            result["info"] = processes[-1].info
        for _ in range(case.repetitions):
            for process, result in zip(processes, results):
                result["repetitions"].append(process.go())
    finally:
        for process in processes:
            process.stop()
    for result in results:
        for line in result["repetitions"]:
            line["seconds_per_token"] = line["seconds"] / line["tokens"]
    check_same_work(results)
    return results


def check_same_work(results):
    """@raises SideError where a peer's checks differ from ours by more than rounding."""
    ours = _checks(results[0])
    for result in results[1:]:
        for name, value in _checks(result).items():
            if name in ours and not math.isclose(value, ours[name], rel_tol=2e-3, abs_tol=1e-5):
                raise SideError(f"not the same work: {name} is {ours[name]} here and {value} in {result['label']}")


def _checks(result):
    return {**result["info"].get("checks", {}), **result["repetitions"][0].get("checks", {})}
