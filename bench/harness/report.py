"""Numbers to one table."""

from statistics import median

HEADER = ("work", "ours", "peer", "ratio", "share of the limit")


def gemm_limit(limits):
    """The best rate of any library in any shape: (GFLOP/s, who)."""
    rates = [(rate, who) for who, shapes in limits["gemm_gflops"].items() for rate in shapes.values()]
    return max(rates)


def limit_rows(limits):
    rows = []
    for shape in next(iter(limits["gemm_gflops"].values())):
        rates = {who: shapes[shape] for who, shapes in limits["gemm_gflops"].items()}
        others = {who: rate for who, rate in rates.items() if who != "maestro"}
        best = max(others, key=others.get)
        listed = ", ".join(f"{who} {rate:.0f}" for who, rate in others.items())
        ratio = f"{rates['maestro'] / others[best]:.2f}x"
        rows.append((f"GEMM {shape}, GFLOP/s", f"{rates['maestro']:.0f} ({limits['backend']})", listed, ratio, "-"))
    rows.append(("reading memory, GB/s", f"{limits['read_gbytes_per_second']:.1f}", "-", "-", "-"))
    return rows


def case_rows(case, results, limits):
    """One row per peer, or one for ours alone."""
    ours = results[0]
    timed = case.compare != "peak_bytes"
    share = share_of_limit(ours, limits) if timed else "-"
    rows = []
    for peer in results[1:]:
        pairs = [b[case.compare] / a[case.compare] for a, b in zip(ours["repetitions"], peer["repetitions"])]
        ratio = f"{median(pairs):.2f}x ({min(pairs):.2f}-{max(pairs):.2f})"
        if case.note:
            ratio += f"; {case.note}"
        peer_cell = f"{figure(case, peer)} {peer['label']}"
        peer_share = share_of_limit(peer, limits) if timed else "-"
        both = share if peer_share == "-" else f"{share}; peer {peer_share}"
        rows.append((case.title, figure(case, ours), peer_cell, ratio, both))
    if not rows:
        rows.append((case.title, figure(case, ours), "-", "-", share))
    return rows


def conductor_row(case, results):
    """Seconds of deciding, scalarizing, observing and updating over those of the whole step."""
    lines = results[0]["repetitions"]
    shares = [line["conductor_seconds"] / line["total_seconds"] for line in lines]
    share = sum(line["conductor_seconds"] for line in lines) / sum(line["total_seconds"] for line in lines)
    cell = f"{100 * share:.3f} % ({100 * min(shares):.3f}-{100 * max(shares):.3f})"
    return (f"Conductor's share of the {case.title}", cell, "-", "-", "-")


def figure(case, result):
    """Median and range of what a case compares, and tokens per second where it has tokens."""
    values = [line[case.compare] for line in result["repetitions"]]
    if case.compare == "peak_bytes":
        before = median(line["resident_before_bytes"] for line in result["repetitions"])
        return f"{median(values) / 1e6:.0f} MB ({(median(values) - before) / 1e6:.0f} more than before the step)"
    seconds = [line["seconds"] for line in result["repetitions"]]
    text = spread(seconds)
    if case.name in ("generation", "grpo_step"):
        rates = [line["tokens"] / line["seconds"] for line in result["repetitions"]]
        text += f", {median(rates):.0f} tokens/s"
    return text


def spread(seconds):
    unit, factor = ("s", 1) if median(seconds) >= 0.1 else ("ms", 1e3)
    shown = [f"{factor * s:.3g}" for s in (median(seconds), min(seconds), max(seconds))]
    return f"{shown[0]} {unit} ({shown[1]}-{shown[2]})"


def share_of_limit(result, limits):
    """The seconds that the limit itself would need, over those that were needed."""
    first = result["repetitions"][0]
    if not limits or (not first.get("gflop") and not first.get("gbytes")):
        return "-"
    seconds = median(line["seconds"] for line in result["repetitions"])
    compute = first.get("gflop", 0.0) / gemm_limit(limits)[0]
    memory = first.get("gbytes", 0.0) / limits["read_gbytes_per_second"]
    if compute >= memory:
        return f"{first['gflop'] / seconds:.0f} GFLOP/s, {100 * compute / seconds:.0f} % of GEMM"
    return f"{first['gbytes'] / seconds:.1f} GB/s, {100 * memory / seconds:.0f} % of reading"


def markdown(rows, header=HEADER):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
