"""Measures maestro on a device beside PyTorch and prints one table. Started by bench/cuda/run.sh, which builds and sets
up. Exits with 77, without a number, where there is no device."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.dirname(HERE))

import device_report  # noqa: E402
from device_cases import NAMES, chosen_cases  # noqa: E402
from driver import log, machine, output_of  # noqa: E402
from harness.report import markdown  # noqa: E402
from harness.sides import PATIENCE_SECONDS, Process, SideError, flags  # noqa: E402

NO_DEVICE = 77


class Cut(BaseException):
    """Someone ends this program; what it started ends too, and what was measured stays."""


def cut(signal_number, frame):
    raise Cut


def parse():
    parser = argparse.ArgumentParser(prog="bench/cuda/run.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="13 cases and few repetitions")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure only this; may be given again")
    parser.add_argument("--title", help="measure only the cases whose title in the table has this text")
    parser.add_argument("--no-peers", action="store_true", help="measure our side alone")
    parser.add_argument("--output", help="folder for results.json and table.md; runs/bench/cuda without it")
    parser.add_argument("--repetitions", type=int, help="of every case (15, or 7 with --quick)")
    parser.add_argument("--seconds", type=float, help="of a repetition (0.1, or 0.05 with --quick)")
    parser.add_argument("--max-seconds", type=float, help="no case begins later than this; the README's come first")
    parser.add_argument("--host", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--python", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.threads = os.cpu_count()
    options.repetitions = options.repetitions or (3 if options.host else 7 if options.quick else 15)
    options.seconds = options.seconds or (0.005 if options.host else 0.05 if options.quick else 0.1)
    options.output = options.output or ("runs/bench/cuda/self_test" if options.host else "runs/bench/cuda")
    if options.no_peers:
        options.python = ""
    return options


class Sides:
    """Starts the programs."""

    def __init__(self, options):
        self._options = options
        self._ours = os.path.join(options.build, "bench", "cuda", "bench_cuda")
        self._device = "cpu" if options.host else "cuda"
        # With little time, a side that is silent for long is worth less than the cases that would follow.
        self._patience = PATIENCE_SECONDS if options.max_seconds is None else max(60.0, options.max_seconds / 3)
        self._environment = {
            "TORCHINDUCTOR_CACHE_DIR": os.path.join(os.path.abspath(options.build), "inductor"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",  # the pool of compiling processes has been seen to hang
            "PYTHONUNBUFFERED": "1",
        }
        if options.host:
            self._environment["CUDA_VISIBLE_DEVICES"] = ""

    def describe(self):
        """The device as our program sees it; None where there is none, and why."""
        done = subprocess.run([self._ours, "--describe"], capture_output=True, text=True)
        if done.returncode == NO_DEVICE:
            return None, done.stderr.strip().removeprefix("bench_cuda: ")
        if done.returncode != 0:
            raise SideError(done.stderr.strip())
        return json.loads(done.stdout), ""

    def ours(self, case, dump):
        host = ["--host"] if self._options.host else []
        options = {**case.options, "dump": dump, "seconds": self._options.seconds}
        return Process([self._ours, *flags(options), *host], {}, self._patience)

    def peer(self, case, side, reference):
        options = {**case.options, **side.options, "peer": side.peer, "reference": reference}
        options.update(device=self._device, seconds=self._options.seconds)
        return Process(self._peer_command(options), self._environment, self._patience)

    def limits(self):
        command = self._peer_command({"work": "limits", "device": self._device})
        done = subprocess.run(command, env={**os.environ, **self._environment}, capture_output=True, text=True)
        if done.returncode != 0:
            raise SideError(f"PyTorch does not run here: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def _peer_command(self, options):
        return [self._options.python, os.path.join(HERE, "peers", "work.py"), *flags(options)]


def run_case(sides, case, options):
    """All sides in turn, A B A B, once each peer has compared its results with ours; one whose results differ, or that
    fails, is left out and named. @raises SideError where ours fails"""
    results = [{"label": s.label, "peer": s.peer, "info": {}, "repetitions": []} for s in case.sides]
    processes = []
    patience = 30
    with tempfile.TemporaryDirectory(dir=options.build) as folder:
        try:
            processes.append(sides.ours(case, folder))
            processes[0].wait_until_ready()
            for side in case.sides[1:]:  # they compile side by side
                processes.append(sides.peer(case, side, folder))
            working = [processes[0]]
            for process, result in zip(processes[1:], results[1:]):
                try:
                    process.wait_until_ready()
                    result["info"] = process.info
                    working.append(process)
                except SideError as error:  # the others may go on
                    result["error"] = str(error)
                    log(f"  {result['label']} failed: {error}")
            pairs = [(p, r) for p, r in zip(processes, results) if p in working]
            for turn in range(options.repetitions + 1):
                for process, result in pairs:
                    line = process.go()
                    if turn > 0:  # the first one found how many calls a repetition has
                        result["repetitions"].append(line)
        except Cut:
            patience = 0
            raise
        finally:
            for process in processes:
                process.stop(patience)
    return results


def better_limits(first, second):
    """The higher of two measurements of each limit."""
    best = {**first}
    for key in ("gbytes_per_second", "gemm_gflops"):
        best[key] = {name: max(rate, second[key][name]) for name, rate in first.get(key, {}).items()}
    if first.get("read_gbytes_per_second"):
        best["read_gbytes_per_second"] = max(best["gbytes_per_second"].values())
    return best


def device_state():
    """What nvidia-smi reads, where it can."""
    fields = "name,driver_version,pstate,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.limit,temperature.gpu"
    text = output_of("nvidia-smi", f"--query-gpu={fields},compute_mode,mig.mode.current", "--format=csv")
    return text.splitlines()


def table(found, cases):
    rows = device_report.limit_rows(found["limits"])
    l2_bytes = (found["device"] or {}).get("l2_bytes", 0)
    for case, entry in zip(cases, found["cases"]):
        if "left_out" in entry:
            rows.append((case.title, f"not measured: {entry['left_out']}", "-", "-", "-", "-"))
        elif "error" in entry:
            rows.append((case.title, f"failed: {entry['error']}", "-", "-", "-", "-"))
        else:
            make_rows = device_report.self_test_rows if found["self_test"] else device_report.case_rows
            rows += make_rows(case, entry["sides"], found["limits"], l2_bytes)
    rows = [[cell.replace("|", "/") for cell in row] for row in rows]  # messages may hold what parts columns
    return heading(found) + markdown(rows, device_report.HEADER)


def failed(entry):
    return "error" in entry or any("error" in side for side in entry.get("sides", []))


def heading(found):
    if found["self_test"]:
        return ("Self-test on the host: small sizes, our bodies run serially, PyTorch on the CPU. It shows that both\n"
                "sides agree; its times say nothing about a device and are not printed.\n\n")
    device = found["device"]
    versions = found["limits"].get("versions", {})
    return (f"{device['name']}, CUDA {device['cuda_runtime']} (driver {device['cuda_driver']}), "
            f"torch {versions.get('torch', '-')}, {found['machine']['date']}, "
            f"{found['machine']['commit'][:12] or 'no git here'}\n\n")


def write(folder, found, text):
    with open(os.path.join(folder, "results.json"), "w") as file:
        json.dump(found, file, indent=1)
    with open(os.path.join(folder, "table.md"), "w") as file:
        file.write(text)


def entry_of(sides, case, options, seconds):
    """One case, measured; `seconds` have passed before it."""
    entry = {"name": case.name, "title": case.title, "options": case.options, "gbytes": case.gbytes,
             "gflop": case.gflop, "aims": case.aims}
    if options.max_seconds is not None and seconds > options.max_seconds:
        return {**entry, "left_out": f"{options.max_seconds:.0f} s were over"}
    log(f"{case.title} [{seconds:.0f} s]")
    try:
        entry["sides"] = run_case(sides, case, options)
    except SideError as error:
        entry["error"] = str(error)
        log(f"  failed: {error}")
    return entry


def main():
    options = parse()
    signal.signal(signal.SIGTERM, cut)
    sides = Sides(options)
    device, reason = (None, "") if options.host else sides.describe()
    if device is None and not options.host:
        print(f"No device here ({reason}). Everything was built, nothing was measured.")
        return NO_DEVICE
    only = options.only or []
    cases = chosen_cases(only, options.title, options.quick, bool(options.python), options.host)
    if options.max_seconds is not None:
        cases.sort(key=lambda case: (not case.headline, not case.quick))
    os.makedirs(options.output, exist_ok=True)
    start = time.monotonic()
    found = {"self_test": options.host, "quick": options.quick, "device": device, "device_state": [device_state()],
             "machine": {**machine(options), "nvcc": output_of("nvcc", "--version").splitlines()[-2:]},
             "limits": {}, "cases": []}
    if options.python:
        log("limits")
        found["limits"] = sides.limits()
    try:
        for case in cases:
            found["cases"].append(entry_of(sides, case, options, time.monotonic() - start))
            write(options.output, found, table(found, cases))
    except Cut:
        found["cut"] = True
        write(options.output, found, table(found, cases))
        return 128 + signal.SIGTERM
    if options.python and cases and not any("left_out" in entry for entry in found["cases"]):
        found["limits"] = better_limits(found["limits"], sides.limits())
    found["device_state"].append(device_state())
    found["seconds"] = time.monotonic() - start
    write(options.output, found, table(found, cases))
    print(table(found, cases))
    print(f"{found['seconds']:.0f} s; raw results in {options.output}/results.json")
    return 1 if any(failed(entry) for entry in found["cases"]) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SideError as error:
        sys.exit(f"bench/cuda: {error}")
    except Cut:
        sys.exit(128 + signal.SIGTERM)
