"""chrF and BLEU of several seeds of each arm, from the --samples of `evaluate`: means over seeds, 95 % intervals over seeds
and prompts (hierarchical bootstrap, the same prompts drawn for all), and the first arm's lead over the others. Needs
sacrebleu.

  python3 bench/learning/seeds.py maestro=a.jsonl,b.jsonl,c.jsonl equal=d.jsonl,e.jsonl,f.jsonl base=g.jsonl
"""
import json
import random
import sys

from sacrebleu.metrics import BLEU, CHRF

RESAMPLES = 1000


def statistics(path, metric, decoding):
    """Sufficient statistics of each prompt, its responses added up: {row: [numbers]}."""
    found = {}
    models = {line["model"] for line in map(json.loads, open(path))}
    if len(models) > 1:
        sys.exit(f"seeds.py: {path} has responses of several models ({', '.join(sorted(models))}); give a file of each")
    for line in map(json.loads, open(path)):
        if line["decoding"] != decoding:
            continue
        own = metric._extract_corpus_statistics([line["response"]], [[line["reference"]]])[0]
        total = found.setdefault(line["row"], [0] * len(own))
        found[line["row"]] = [a + b for a, b in zip(total, own)]
    return found


def score(metric, rows):
    return metric._compute_score_from_stats([sum(column) for column in zip(*rows)]).score


def main():
    if len(sys.argv) < 2 or any("=" not in a for a in sys.argv[1:]):
        sys.exit(__doc__)
    arms = {name: paths.split(",") for name, paths in (a.split("=", 1) for a in sys.argv[1:])}
    first = next(iter(arms))
    for decoding in ("greedy", "sampled"):
        for label, metric in (("chrF", CHRF()), ("BLEU", BLEU())):
            seeds = {name: [statistics(p, metric, decoding) for p in paths] for name, paths in arms.items()}
            rows = sorted(set.intersection(*(set(s) for each in seeds.values() for s in each)))
            rng = random.Random(0)

            def means(drawn_rows, drawn_seeds):
                return {n: sum(score(metric, [each[s][r] for r in drawn_rows]) for s in drawn_seeds[n]) / len(drawn_seeds[n])
                        for n, each in seeds.items()}

            exact = means(rows, {n: range(len(each)) for n, each in seeds.items()})
            samples = []
            for _ in range(RESAMPLES):
                samples.append(means(rng.choices(rows, k=len(rows)),
                                     {n: rng.choices(range(len(each)), k=len(each)) for n, each in seeds.items()}))
            print(f"\n{label}, {decoding}, {len(rows)} prompts")
            for name in arms:
                single = [round(score(metric, [each[r] for r in rows]), 1) for each in seeds[name]]
                ordered = sorted(s[name] for s in samples)
                lead = sorted(s[first] - s[name] for s in samples)
                low, high = int(0.025 * RESAMPLES), int(0.975 * RESAMPLES)
                print(f"{name:10s} {exact[name]:.1f} ({ordered[low]:.1f} to {ordered[high]:.1f})  seeds {single}  "
                      f"{first} less it {exact[first] - exact[name]:+.1f} ({lead[low]:+.1f} to {lead[high]:+.1f})")


if __name__ == "__main__":
    main()
