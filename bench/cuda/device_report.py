"""Numbers to one table."""

from statistics import median

HEADER = ("work", "ours", "peer", "ratio", "share of the limit", "aim")


def limit_rows(limits):
    rows = []
    for name, rate in limits.get("gbytes_per_second", {}).items():
        rows.append((f"memory, {name}, GB/s", "-", f"{rate:.0f} torch", "-", "-", "-"))
    for name, rate in limits.get("gemm_gflops", {}).items():
        rows.append((f"GEMM 8192, {name}, TFLOP/s", "-", f"{1e-3 * rate:.1f} torch", "-", "-", "-"))
    return rows


def case_rows(case, results, limits, l2_bytes=0):
    """One row per peer, or one for ours alone."""
    ours = results[0]
    share, of = share_of_limit(case, ours, limits)
    shown = f"{100 * share:.0f} % of {of}" if of else "-"
    if of == "bandwidth" and "copies" not in case.options and 1e9 * case.gbytes < l2_bytes:
        shown += ", all of it fits in L2"
    rows = []
    for peer in results[1:]:
        if "error" in peer:
            rows.append((case.title, spread(ours), f"{peer['label']} failed: {peer['error']}", "-", shown, "-"))
            continue
        pairs = [b["seconds"] / a["seconds"] for a, b in zip(ours["repetitions"], peer["repetitions"])]
        ratio = f"{median(pairs):.2f}x ({min(pairs):.2f}-{max(pairs):.2f})"
        aim = judged(case.aims.get(peer["peer"]), median(pairs), "{:g}x")
        rows.append((case.title, spread(ours), f"{spread(peer)} {peer['label']}", ratio, shown, aim))
    if not rows:
        rows.append((case.title, spread(ours), "-", "-", shown, "-"))
    if "bandwidth" in case.aims and of:
        reached = share if of == "bandwidth" else 0.0
        aim = judged(case.aims["bandwidth"], reached, "{:.0%} of bandwidth")
        rows = [(*row[:-1], aim if row[-1] == "-" else f"{row[-1]}; {aim}") for row in rows]
    return rows


def self_test_rows(case, results, limits, l2_bytes=0):
    """The same rows without their numbers: what was compared instead."""
    rows = []
    for row, peer in zip(case_rows(case, results, limits, l2_bytes), results[1:]):
        cell = row[2]
        if "error" not in peer:
            checks = peer["info"]["checks"]
            worst = max(checks, key=lambda name: checks[name][0] / checks[name][1])
            error, tolerance = checks[worst]
            cell = f"{peer['label']} agrees; the largest error is that of {worst}, {error:.1e} of {tolerance:.0e}"
        rows.append((row[0], "ran", cell, "-", "-", "-"))
    return rows or [(case.title, "ran", "-", "-", "-", "-")]


def judged(least, found, text):
    if least is None:
        return "-"
    return f"at least {text.format(least)}: {'met' if found >= least else 'missed'}"


def spread(result):
    """Median and range of the seconds of a call."""
    seconds = [line["seconds"] for line in result["repetitions"]]
    middle = median(seconds)
    unit, factor = ("ms", 1e3) if middle >= 1e-3 else ("us", 1e6)
    shown = [f"{factor * s:.4g}" for s in (middle, min(seconds), max(seconds))]
    return f"{shown[0]} {unit} ({shown[1]}-{shown[2]})"


def share_of_limit(case, result, limits):
    """The seconds that the limit itself would need over those needed, and which limit binds; (0, "") without limits."""
    rate = limits.get("read_gbytes_per_second")
    gemm = limits.get("gemm_gflops", {}).get(case.type)
    if not rate or not gemm:
        return 0.0, ""
    seconds = median(line["seconds"] for line in result["repetitions"])
    memory = case.gbytes / rate
    compute = case.gflop / gemm
    return (memory / seconds, "bandwidth") if memory >= compute else (compute / seconds, "GEMM")
