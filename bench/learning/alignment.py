"""How far fixed weights of the cheap rewards agree with a judge inside the groups of a base's own responses: equal,
each alone, the best global ones and the best of each family, by least squares. A look before any training. Plain
Python.

  contexts --write responses --model DIR --split dev --count 350 --num-generations 8 --output responses.jsonl
  python3 bench/learning/alignment.py responses.jsonl [--target paid_judge]
"""
import argparse
import json
import math
import pathlib

REWARDS = ["brevity", "confidence", "elaboration", "chrf", "liking", "format"]


def standardized(values):
    """z-scores within one group; a constant column is 0."""
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    return [(v - mean) / deviation if deviation > 1e-9 else 0.0 for v in values]


def load_groups(path, target="judge"):
    """[(family, [(K z-scored rewards, z-scored target) of each response])]"""
    records = {}
    for line in open(path):
        record = json.loads(line)
        records.setdefault((record["row"], record["task"]), []).append([record[k] for k in REWARDS + [target]])
    groups = []
    for (_, task), rows in records.items():
        columns = [standardized(column) for column in zip(*rows)]
        groups.append((task, [(row[:-1], row[-1]) for row in zip(*columns)]))
    return groups


def solve(a, b):
    """Gaussian elimination with pivots."""
    n = len(b)
    rows = [list(a[i]) + [b[i]] for i in range(n)]
    for c in range(n):
        pivot = max(range(c, n), key=lambda r: abs(rows[r][c]))
        rows[c], rows[pivot] = rows[pivot], rows[c]
        for r in range(n):
            if r != c:
                factor = rows[r][c] / rows[c][c]
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[c])]
    return [rows[i][n] / rows[i][i] for i in range(n)]


def regression(groups, ridge=1.0):
    """Least squares of the target on the rewards, divided by the absolute sum."""
    k = len(REWARDS)
    a = [[ridge if i == j else 0.0 for j in range(k)] for i in range(k)]
    b = [0.0] * k
    for _, rows in groups:
        for z, target in rows:
            for i in range(k):
                b[i] += z[i] * target
                for j in range(k):
                    a[i][j] += z[i] * z[j]
    weights = solve(a, b)
    size = sum(abs(w) for w in weights)
    return [w / size for w in weights]


def agreement(groups, weights_of):
    """By family, the mean correlation of the weighted sum with the target inside a group; constant ones count 0."""
    values = {}
    for task, rows in groups:
        weights = weights_of(task)
        mixture = standardized([sum(w * x for w, x in zip(weights, z)) for z, _ in rows])
        value = sum(m * target for m, (_, target) in zip(mixture, rows)) / len(rows)
        values.setdefault(task, []).append(value)
    return {task: sum(found) / len(found) for task, found in values.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("responses")
    parser.add_argument("--target", default="judge", help="judge (held out) or paid_judge")
    parser.add_argument("--oracle", default=str(pathlib.Path(__file__).parent / "oracle.json"))
    options = parser.parse_args()
    groups = load_groups(options.responses, options.target)
    tasks = sorted({task for task, _ in groups})
    oracle = {task: [w[k] for k in REWARDS] for task, w in json.load(open(options.oracle)).items()}
    found = regression(groups)
    by_family = {task: regression([group for group in groups if group[0] == task]) for task in tasks}
    rules = {"equal": lambda _: [1.0] * len(REWARDS)}
    for place, name in enumerate(REWARDS):
        rules["only " + name] = lambda _, place=place: [float(k == place) for k in range(len(REWARDS))]
    rules["regression, global"] = lambda _: found
    rules["regression by family"] = lambda task: by_family[task]
    rules["oracle"] = lambda task: oracle[task]
    rules["oracle, its positive part"] = lambda task: [max(w, 0) for w in oracle[task]]
    print("| weights | " + " | ".join(tasks) + " | all |\n|---|" + "---|" * (len(tasks) + 1))
    for name, rule in rules.items():
        values = agreement(groups, rule)
        cells = [f"{values[task]:.2f}" for task in tasks] + [f"{sum(values.values()) / len(values):.2f}"]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\nRegressions: " + ", ".join(REWARDS))
    for name, weights in [("global", found)] + sorted(by_family.items()):
        print(f"{name:12s} " + " ".join(f"{w:6.2f}" for w in weights))


if __name__ == "__main__":
    main()
