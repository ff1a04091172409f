"""Runs a case: all sides in turn, A B A B, after a check that they do the same work."""

import math
import os

from harness.sides import SideError

# Waiting threads that sleep, and PyTorch's default, threads that spin first: which is better depends on what else the
# machine does.
WAIT_POLICIES = ({"OMP_WAIT_POLICY": "passive"}, {})


# Works whose peers mostly decode, or mostly do not, share their choice.
FAMILY = {"generation": "generation", "grpo_step": "generation"}


def calibrate(workshop, cases, log):
    """Gives the peers the wait policy that is faster for them here and now, tried on the first case of each family of
    works. An OMP_WAIT_POLICY of the caller's stays as it is."""
    if "OMP_WAIT_POLICY" in os.environ:
        return {}
    tried = {}
    for case in cases:
        work = case.options["work"]
        family = FAMILY.get(work, "other")
        side = next((s for s in case.sides if s.peer in ("eager", "trl")), None)
        if side is None or case.fresh:
            continue
        if family not in tried:
            seconds = _best_seconds(workshop, case, side)
            best = seconds.index(min(seconds))
            names = [e.get("OMP_WAIT_POLICY", "default") for e in WAIT_POLICIES]
            tried[family] = {"seconds": dict(zip(names, seconds)), "chosen": names[best]}
            shown = ", ".join(f"{name} {s:.3f} s" for name, s in zip(names, seconds))
            log(f"  {case.title}: {shown}")
        workshop.peer_environment[work] = next(
            e for e in WAIT_POLICIES if e.get("OMP_WAIT_POLICY", "default") == tried[family]["chosen"]
        )
    return tried


def _best_seconds(workshop, case, side):
    """The least seconds under each policy, in turn."""
    processes = []
    try:
        for environment in WAIT_POLICIES:
            processes.append(workshop.start(case, side, environment))
            processes[-1].wait_until_ready()
        best = [float("inf")] * len(processes)
        for _ in range(4):
            best = [min(b, process.go()["seconds"]) for b, process in zip(best, processes)]
            if max(best) > 2 * min(best):
                break  # spinning on a busy machine
    finally:
        for process in processes:
            process.stop()
    return best


def run_case(workshop, case):
    """One list of repetitions per side. @raises SideError"""
    results = [{"label": s.label, "peer": s.peer, "info": {}, "repetitions": []} for s in case.sides]
    if case.fresh:
        for _ in range(case.repetitions):
            for side, result in zip(case.sides, results):
                run_sides(workshop, case, [side], [result], 1)
    else:
        run_sides(workshop, case, case.sides, results, case.repetitions)
    for result in results:
        for line in result["repetitions"]:
            line["seconds_per_token"] = line["seconds"] / line["tokens"]
    if not case.fresh:
        check_same_work(results)
    return results


def run_sides(workshop, case, sides, results, repetitions):
    """Starts all sides together, then lets one after the other do a repetition."""
    processes = []
    try:
        for side in sides:
            processes.append(workshop.start(case, side))
        for process, result in zip(processes, results):
            process.wait_until_ready()
            result["info"] = process.info
        for _ in range(repetitions):
            for process, result in zip(processes, results):
                result["repetitions"].append(process.go())
    finally:
        for process in processes:
            process.stop()


def check_same_work(results):
    """@raises SideError where a peer's checks differ from ours by more than rounding."""
    ours = _checks(results[0])
    for result in results[1:]:
        for name, value in _checks(result).items():
            if name in ours and not math.isclose(value, ours[name], rel_tol=2e-3, abs_tol=1e-5):
                raise SideError(f"not the same work: {name} is {ours[name]} here and {value} in {result['label']}")


def _checks(result):
    return {**result["info"].get("checks", {}), **result["repetitions"][0].get("checks", {})}
