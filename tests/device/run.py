"""Runs the parts and writes one summary. Started by tests/device.sh."""

import argparse
import datetime
import os
import platform
import shutil
import signal
import sys

import parts
import summary
from running import Runner, raise_ended

NAMES = [part.name for part in parts.all_parts(parts.Workplace(".", ".", False))]


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tests/device.sh run", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(NAMES)}; without one all but "
                        f"{', '.join(parts.NAMED_ONLY)}")
    parser.add_argument("--dry", action="store_true", help="compiles all, and runs what needs no device")
    parser.add_argument("--output", default="runs/device", help="folder for the summary (runs/device)")
    parser.add_argument("--limit", action="append", default=[], metavar="[PART=]SECONDS",
                        help="instead of a part's own, or that of the whole run; may be given again")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.parts if name not in NAMES]
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    try:
        options.limits = dict(limit_of(text) for text in options.limit)
    except ValueError as error:
        parser.error(str(error))
    return options


def limit_of(text):
    name, _, seconds = text.rpartition("=")
    if name and name not in NAMES:
        raise ValueError(f"--limit {text}: no part is called {name}")
    try:
        value = float(seconds)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise ValueError(f"--limit {text}: not a number of seconds")
    return name, value


def about(place):
    gpu = parts.last_line("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "kind": "dry: nothing here ran on a device" if place.dry else "",
        "card": "" if place.dry else gpu,
        "commit": parts.commit(),
        "machine": f"{os.cpu_count()} cores, {platform.platform()}",
        "compilers": "; ".join(filter(None, [parts.last_line("nvcc", "--version"), gcc()])),
        "headers": "build/device-needs" if os.path.isdir(os.path.join(parts.ROOT, "build", "device-needs"))
        else "installed packages",
    }


def gcc():
    version = parts.last_line("c++", "-dumpfullversion")
    return f"c++ {version}" if version else ""


def run(chosen, place, total):
    """The status to exit with."""
    os.makedirs(place.output, exist_ok=True)
    place.about.update(about(place))
    log_path = os.path.join(place.output, "log.txt")
    for name in ("summary.txt", "summary.json", "bench.json", "bench.md", "tests.xml", "log.txt"):
        if os.path.exists(os.path.join(place.output, name)):
            os.remove(os.path.join(place.output, name))

    def log(text):
        with open(log_path, "a", encoding="utf-8") as file:
            file.write(text)
        if text.startswith("===="):
            print(text.strip(), flush=True)

    def after(outcomes):
        summary.write(place.output, outcomes, place.about, place.table)

    runner = Runner(chosen, total, place.environment(), log, after)
    after(runner.outcomes)
    signal.signal(signal.SIGTERM, raise_ended)
    runner.run()
    print(summary.write(place.output, runner.outcomes, place.about, place.table), end="")
    return status_of(runner, place)


def status_of(runner, place):
    statuses = {outcome.status for outcome in runner.outcomes}
    if runner.ended:
        return 128 + signal.SIGTERM
    if statuses & {"failed", "cut"}:
        return 1
    on_device = [o for o in runner.outcomes if o.name != "build"]
    if not place.dry and on_device and all(o.status == "skipped" for o in on_device):
        return parts.NO_DEVICE
    return 0


def main(arguments):
    options = parse(arguments)
    nvcc = "/usr/local/cuda/bin"
    if not shutil.which("nvcc") and os.path.exists(f"{nvcc}/nvcc"):
        os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{nvcc}"
    place = parts.Workplace(os.environ.get("BUILD_DIR", "build/device"), options.output, options.dry)
    asked = options.parts or [name for name in NAMES if name not in parts.NAMED_ONLY]
    chosen = [part for part in parts.all_parts(place) if part.name in asked]
    for part in chosen:
        part.limit = options.limits.get(part.name, part.limit)
    total = options.limits.get("", parts.DRY_SECONDS if options.dry else parts.TOTAL_SECONDS)
    return run(chosen, place, total)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
