"""Measures maestro beside its peers and prints one table. Started by bench/run.sh, which builds and sets up."""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time

from harness import report
from harness.cases import NAMES, chosen_cases
from harness.measuring import calibrate, run_case
from harness.sides import SideError, Workshop, better_limits


def parse():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the shipped model and few repetitions, under 3 minutes")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure only this; may be given again")
    parser.add_argument("--title", help="measure only the cases whose title in the table has this text")
    parser.add_argument("--no-peers", action="store_true", help="measure our side alone")
    parser.add_argument("--output", default="runs/bench", help="folder for results.json and table.md")
    parser.add_argument("--repetitions", type=int, help="of every case, instead of its own number (5 or more)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--python", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def log(text):
    print(text, file=sys.stderr, flush=True)


def output_of(*command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine(options):
    """What the numbers depend on."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": output_of("git", "rev-parse", "HEAD"),
        "modified": bool(output_of("git", "status", "--porcelain")),
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "compiler": output_of("c++", "--version").splitlines()[:1],
    }


def main():
    options = parse()
    only = options.only or []
    workshop = Workshop(options.build, "" if options.no_peers else options.python, options.threads)
    cases = chosen_cases(only, options.quick, peers=bool(workshop.python))
    if options.title:
        cases = [case for case in cases if options.title in case.title]
    for case in cases:
        case.repetitions = options.repetitions or case.repetitions
    os.makedirs(options.output, exist_ok=True)
    start = time.monotonic()
    found = {"machine": machine(options), "quick": options.quick, "limits": {}, "wait_policy": {}, "cases": []}
    log("limits")
    found["limits"] = workshop.limits()
    if workshop.python and cases:
        log("how the peers' threads wait")
        found["wait_policy"] = calibrate(workshop, cases, log)
    for case in cases:
        log(f"{case.title} [{time.monotonic() - start:.0f} s]")
        entry = {"name": case.name, "title": case.title, "options": case.options}
        try:
            entry["sides"] = run_case(workshop, case)
        except SideError as error:
            entry["error"] = str(error)
        found["cases"].append(entry)
        write(options.output, found, table(found, cases, only))
    if cases:
        found["limits"] = better_limits(found["limits"], workshop.limits())
    found["seconds"] = time.monotonic() - start
    write(options.output, found, table(found, cases, only))
    about = found["machine"]
    print(f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads, {about['date']}, {about['commit'][:12]}\n")
    print(table(found, cases, only))
    print(f"{found['seconds']:.0f} s; raw results in {options.output}/results.json")
    return 1 if any("error" in entry for entry in found["cases"]) else 0


def table(found, cases, only):
    """What has been measured so far, as markdown."""
    rows = report.limit_rows(found["limits"])
    for case, entry in zip(cases, found["cases"]):
        if "error" in entry:
            rows.append((case.title, f"failed: {entry['error']}", "-", "-", "-"))
            continue
        if not only or case.name in only:
            rows += report.case_rows(case, entry["sides"], found["limits"])
        if case.name == "grpo_step" and (not only or "conductor_share" in only):
            rows.append(report.conductor_row(case, entry["sides"]))
    return report.markdown(rows)


def write(folder, found, text):
    with open(os.path.join(folder, "results.json"), "w") as file:
        json.dump(found, file, indent=1)
    with open(os.path.join(folder, "table.md"), "w") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
