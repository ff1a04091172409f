"""Tables from the JSON files of bench/learning.sh: scores with hierarchical bootstrap intervals over seeds and prompts,
and paired differences from the oracle.

  python3 bench/learning/table.py runs/learning [ARM...]
"""
import json
import pathlib
import random
import sys

DECODINGS = {"greedy": "greedy", "t0.5": "temperature 0.5", "t1": "temperature 1"}
RESAMPLES = 1000


def load(folder):
    """{arm: {seed: record}}"""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*-s[0-9]*.json")):
        record = json.loads(path.read_text())
        found.setdefault(record["arm"], {})[record["seed"]] = record
    return found


def families_of(tasks):
    places = {}
    for place, task in enumerate(tasks):
        places.setdefault(task, []).append(place)
    return places


def draws(seeds, families, rng):
    """Seeds, and prompts within each family, drawn with replacement; both sides of a difference get the same."""
    return rng.choices(seeds, k=len(seeds)), {f: rng.choices(p, k=len(p)) for f, p in families.items()}


def mean_of(scores, seeds, places):
    return sum(scores[s][p] for s in seeds for p in places) / (len(seeds) * len(places))


def figures(first, second, seeds, families, split="held_out"):
    """By family and 'all' (their mean): (value, low, high) in percent of `first`, less `second` if given."""
    rng = random.Random(0)

    def value(s, drawn):
        by = {f: mean_of(first, s, p) - (mean_of(second, s, p) if second else 0.0) for f, p in drawn.items()}
        by["all"] = sum(by.values()) / len(by)
        return by

    exact = value(seeds, families)
    samples = [value(*draws(seeds, families, rng)) for _ in range(RESAMPLES)]
    result = {}
    for name, x in exact.items():
        ordered = sorted(sample[name] for sample in samples)
        low, high = ordered[int(0.025 * RESAMPLES)], ordered[int(0.975 * RESAMPLES)]
        result[name] = tuple(100 * v for v in (x, low, high))
    return result


def scores_of(records, decoding, split):
    """Of every seed. The base is the same for all of them."""
    return {seed: record[split][decoding]["scores"] for seed, record in records.items()}


# A family can tell weightings apart where the first arm beats the second by more than so many points in every decoding.
CLAIMS = [("oracle", "best-global", 5.0), ("oracle", "equal", 10.0), ("sft+oracle", "sft", 0.0),
          ("sft+judge", "sft", 0.0)]


def verdicts(found, families, split="held_out"):
    """For each family, and over all, the least lead over the decodings, and whether it suffices."""
    columns = list(families) + ["all"]
    rows = ["\n**Headroom**: the least lead over the three decodings, in points; in brackets where it is too small\n",
            "| lead | needed | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for first, second, needed in CLAIMS:
        if first not in found or second not in found:
            continue
        seeds = sorted(set(found[first]) & set(found[second]))
        if not seeds:
            continue
        least = {}
        for decoding in DECODINGS:
            values = leads(scores_of(found[first], decoding, split), scores_of(found[second], decoding, split), seeds,
                           families)
            least = {c: min(v, least.get(c, v)) for c, v in values.items()}
        cells = [f"{least[c]:.1f}" if least[c] > needed else f"({least[c]:.1f})" for c in columns]
        rows.append(f"| {first} over {second} ({len(seeds)}) | {needed:g} | " + " | ".join(cells) + " |")
    return rows if len(rows) > 3 else []


# What is asked of learned weights: the first arm less the second, with the same seeds and prompts drawn for both.
PAIRS = [("anchored-5-prompt", other) for other in ("equal", "best-global", "maestro", "anchored-5", "judge", "bestof4")]
PAIRS += [("sft+anchored-5-prompt", other) for other in ("sft", "sft+equal", "sft+maestro", "sft+bestof4")]
PAIRS += [("sft+anchored-5", "sft"), ("sft+anchored-5", "sft+bestof4"), ("anchored-5", "anchored-5-global"),
          ("maestro", "equal"), ("sft+maestro", "sft+equal"), ("sft+judge", "sft+anchored-5-prompt"),
          ("sft28+anchored-5-prompt", "sft28"), ("sft28+anchored-5-prompt", "sft28+bestof4"),
          ("oracle", "anchored-5-prompt")]


def pairs(found, families, split="held_out"):
    rows = ["\n**One arm less another**, over all families, paired; in brackets in how many of the families the interval "
            "lies above 0, and below\n",
            "| pair (seeds) | " + " | ".join(DECODINGS.values()) + " |", "|---|" + "---|" * len(DECODINGS)]
    for first, second in PAIRS:
        seeds = sorted(set(found.get(first, {})) & set(found.get(second, {})))
        if not seeds:
            continue
        cells = []
        for decoding in DECODINGS:
            values = figures(scores_of(found[first], decoding, split), scores_of(found[second], decoding, split), seeds,
                             families)
            above = sum(values[f][1] > 0 for f in families)
            below = sum(values[f][2] < 0 for f in families)
            cells.append("{:+.1f} ({:+.1f} to {:+.1f})".format(*values["all"]) + f" [{above}, {below}]")
        rows.append(f"| {first} less {second} ({len(seeds)}) | " + " | ".join(cells) + " |")
    return rows if len(rows) > 3 else []


def leads(first, second, seeds, families):
    by = {f: 100 * (mean_of(first, seeds, p) - mean_of(second, seeds, p)) for f, p in families.items()}
    by["all"] = sum(by.values()) / len(by)
    return by


def tables(folder, names=None, split="held_out"):
    found = load(folder)
    names = [n for n in (names or found) if n in found]
    tasks = next(iter(found.values()))[next(iter(next(iter(found.values()))))][split]["tasks"]
    families = families_of(tasks)
    columns = list(families) + ["all"]
    text = verdicts(found, families, split) + pairs(found, families, split)
    for decoding, words in DECODINGS.items():
        rows = [f"\n**{words}**: held-out judge, %, 95 % intervals over seeds and prompts\n",
                "| arm (seeds) | " + " | ".join(columns) + " | tokens | s |", "|---|" + "---|" * (len(columns) + 2)]
        differences = [f"\n**{words}**: oracle by family less the arm, paired\n",
                       "| arm | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
        for name in names:
            records = found[name]
            scores = scores_of(records, decoding, split)
            seeds = sorted(scores)
            values = figures(scores, None, seeds, families)
            cells = [f"{values[c][0]:.1f}" for c in columns[:-1]]
            cells.append("{:.1f} ({:.1f} to {:.1f})".format(*values["all"]))
            length = sum(r[split][decoding]["length"] for r in records.values()) / len(records)
            seconds = sum(r["seconds"] for r in records.values()) / len(records)
            rows.append(f"| {name} ({len(seeds)}) | " + " | ".join(cells) + f" | {length:.0f} | {seconds:.0f} |")
            both = [s for s in seeds if s in found.get("oracle", {})]
            if name == "oracle" or not both:
                continue
            oracle = scores_of(found["oracle"], decoding, split)
            values = figures(oracle, scores, both, families)
            differences.append(f"| {name} | " +
                               " | ".join("{:.1f} ({:.1f} to {:.1f})".format(*values[c]) for c in columns) + " |")
        text += rows + (differences if len(differences) > 3 else [])
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    print(tables(sys.argv[1], sys.argv[2:] or None))
