"""How far weights learned from a few judged groups agree with the held-out judge on other groups, by what they may depend
on: nothing, the responses' terminal states, the state at the end of the prompt, the family. The joint regression of
AnchoredConductor (lambda 8 |x|^2), on a base's own responses; mean over families, groups and draws of the judged groups of
the correlation inside a group. Needs numpy.

  contexts --write responses --model examples/models/contexts --split dev --count 350 --num-generations 8 --hidden \\
    --output responses.jsonl
  python3 bench/learning/context_alignment.py responses.jsonl [--judged 84] [--draws 6]
"""
import argparse
import json

import numpy as np

from alignment import REWARDS


def standardized(columns):
    """z-scores of each column inside a group; a constant one is 0."""
    deviation = columns.std(0)
    return np.where(deviation > 1e-9, (columns - columns.mean(0)) / np.where(deviation > 1e-9, deviation, 1.0), 0.0)


def load(path):
    """Groups: {task, z (n, K), judge (n), target (n), hidden (d), prompt (d)}."""
    lines = {}
    for line in map(json.loads, open(path)):
        lines.setdefault(line["row"], []).append(line)
    groups = []
    for rows in lines.values():
        groups.append({"task": rows[0]["task"],
                       "z": standardized(np.array([[r[k] for k in REWARDS] for r in rows])),
                       "judge": np.array([r["judge"] for r in rows]),
                       "target": standardized(np.array([[r["paid_judge"]] for r in rows]))[:, 0],
                       "hidden": np.mean([r["hidden"] for r in rows], 0),
                       "prompt": np.array(rows[0]["prompt_hidden"])})
    return groups


def features(groups, context):
    """(N, D) of unit root mean square and a constant, and the penalty of the regression."""
    ones = np.ones((len(groups), 1))
    if context == "global":
        return ones, 8.0
    if context == "task":
        tasks = sorted({g["task"] for g in groups})
        return np.hstack([np.array([[float(g["task"] == t) for t in tasks] for g in groups]), ones]), 16.0
    states = np.array([g[context] for g in groups])
    states = states / np.sqrt((states ** 2).mean(1, keepdims=True))
    return np.hstack([states, ones]), 8.0 * (states.shape[1] + 1)


def agreement(groups, context, judged, draws):
    """{family: mean correlation of mixture and held-out judge inside the groups that were not judged}"""
    x, penalty = features(groups, context)
    found = {}
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(groups))
        seen, rest = order[:judged], order[judged:]
        rows = np.concatenate([(groups[g]["z"][:, :, None] * x[g]).reshape(len(groups[g]["z"]), -1) for g in seen])
        target = np.concatenate([groups[g]["target"] for g in seen])
        theta = np.linalg.solve(rows.T @ rows + penalty * np.eye(rows.shape[1]), rows.T @ target)
        theta = theta.reshape(len(REWARDS), -1)
        for g in rest:
            mixture, judge = groups[g]["z"] @ (theta @ x[g]), groups[g]["judge"]
            if judge.std() < 1e-9:
                continue
            value = 0.0 if mixture.std() < 1e-9 else np.corrcoef(mixture, judge)[0, 1]
            found.setdefault(groups[g]["task"], []).append(value)
    return {task: float(np.mean(values)) for task, values in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("responses")
    parser.add_argument("--judged", type=int, default=84, help="groups that the paid judge scores")
    parser.add_argument("--draws", type=int, default=6, help="of the judged groups")
    options = parser.parse_args()
    groups = load(options.responses)
    tasks = sorted({g["task"] for g in groups})
    print("| context | " + " | ".join(tasks) + " | all |\n|---|" + "---|" * (len(tasks) + 1))
    for context in ("global", "hidden", "prompt", "task"):
        found = agreement(groups, context, options.judged, options.draws)
        cells = [f"{found[task]:.2f}" for task in tasks] + [f"{sum(found.values()) / len(found):.2f}"]
        print(f"| {context} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
