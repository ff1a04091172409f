"""One summary of a run: summary.json, and summary.txt, which ends with what failed."""

import dataclasses
import json
import os

MOST_FAILURES = 8  # of a part, shown


def document(outcomes, about, table):
    """What summary.json holds. `about` says what the results depend on; `table` is that of the benchmark."""
    parts = [dataclasses.asdict(outcome) for outcome in outcomes]
    for part in parts:
        part["seconds"] = round(part["seconds"], 2)
    totals = {key: sum(part[key] for part in parts) for key in ("passed", "failed", "skipped")}
    return {"about": about, "totals": {**totals, "parts": counted(outcomes)}, "parts": parts,
            "table": table.splitlines()}


def counted(outcomes):
    counts = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    return counts


def text(outcomes, about, table):
    lines = [f"{key}: {value}" for key, value in about.items() if value and not isinstance(value, dict)]
    lines += ["", f"{'part':<10} {'status':<8} {'passed':>6} {'failed':>6} {'skipped':>7} {'seconds':>8} {'limit':>6}"]
    for o in outcomes:
        row = f"{o.name:<10} {o.status:<8} {o.passed:>6} {o.failed:>6} {o.skipped:>7} {o.seconds:>8.1f} {o.limit:>6.0f}"
        lines.append(f"{row}  {o.message}".rstrip())
    for o in outcomes:
        for name, fact in o.facts.items():
            lines += [f"{o.name}, {name}: {fact}" if isinstance(fact, (str, int, float)) else f"{o.name}, {name}:"]
            if isinstance(fact, list):
                lines += [f"  {item}" for item in fact]
    if table:
        lines += ["", table.strip()]
    lines += ["", verdict(outcomes), *failure_lines(outcomes)]
    return "\n".join(lines) + "\n"


def verdict(outcomes):
    counts = {key: sum(getattr(o, key) for o in outcomes) for key in ("passed", "failed", "skipped")}
    parts = ", ".join(f"{count} {status}" for status, count in sorted(counted(outcomes).items()))
    return f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped; parts: {parts}"


def failure_lines(outcomes):
    lines = []
    for o in outcomes:
        if o.status == "cut":
            lines.append(f"CUT {o.name}: {o.message}")
        for failure in o.failures[:MOST_FAILURES]:
            lines.append(f"FAILED {o.name}: {failure['what']}")
            lines += [f"    {line}" for line in failure["lines"]]
        if len(o.failures) > MOST_FAILURES:
            lines.append(f"FAILED {o.name}: {len(o.failures) - MOST_FAILURES} more, in summary.json and log.txt")
    return lines


def write(folder, outcomes, about, table):
    """Each file whole or not at all: the run may be ended at any moment."""
    shown = text(outcomes, about, table)
    replace(os.path.join(folder, "summary.txt"), shown)
    replace(os.path.join(folder, "summary.json"), json.dumps(document(outcomes, about, table), indent=1) + "\n")
    return shown


def replace(path, content):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(path + ".new", path)
