"""Runs arms of bench/learning.sh that have no result yet, and prints the table. Plain Python."""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import alignment
import arms
import table

HERE = pathlib.Path(__file__).parent
BASE = "examples/models/contexts"


class Runs:
    """A folder of results: <arm>-s<seed>.json."""

    def __init__(self, options):
        self.o = options
        self.folder = pathlib.Path(options.output)
        self.work = self.folder / "work"
        self.work.mkdir(parents=True, exist_ok=True)

    def call(self, program, *arguments):
        command = [f"{self.o.build}/{program}", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit("learning.sh: " + " ".join(command) + "\n" + done.stdout[-2000:] + done.stderr[-2000:])

    def prompts(self, seed, weights="oracle.json"):
        """The training prompts of a seed, with the oracle's weights, or their positive part."""
        path = self.work / f"prompts-s{seed}-{weights}l"
        if not path.exists():
            source = HERE / "oracle.json"
            if weights != "oracle.json":
                source = self.work / weights
                positive = {f: {r: max(w, 0) for r, w in given.items()} for f, given in arms.ORACLE.items()}
                source.write_text(json.dumps(positive))
            self.call("contexts", "--write", "prompts", "--split", "train", "--count", 588, "--seed", seed, "--weights",
                      source, "--output", path)
        return path

    def scores(self, model, name, seed):
        """Of a model on both splits; dev with fewer responses."""
        result = {}
        for split, count, responses in (("dev", 105, 2), ("held_out", 175, 4)):
            path = self.work / f"scores-{name}-s{seed}-{split}.json"
            self.call("contexts", "--write", "scores", "--model", model, "--split", split, "--count", count,
                      "--num-generations", responses, "--output", path)
            result[split] = json.loads(path.read_text())
        return result

    def train(self, name, seed, arguments, model=BASE, weights="oracle.json"):
        output = self.work / f"{name}-s{seed}"
        shutil.rmtree(output, ignore_errors=True)
        search = name.startswith("global-")
        self.call("train", *(arms.SEARCH if search else arms.COMMON), "--model", model, "--prompts",
                  self.prompts(seed, weights), "--seed", seed, "--steps",
                  arms.SEARCH_STEPS if search else self.o.steps, "--threads", self.o.threads, "--output", output,
                  *arguments)
        lines = [json.loads(line) for line in open(output / "metrics.jsonl")]
        last = {k: v for k, v in lines[-1].items() if isinstance(v, (int, float))}
        shutil.rmtree(output / "checkpoints", ignore_errors=True)
        return str(output / "model"), {"last_step": last}

    def supervised(self, name, seed, demonstrations, setting):
        output = self.work / f"{name}-s{seed}"
        output.mkdir(parents=True, exist_ok=True)
        self.imitate(BASE, output / "model", seed, setting, "--demonstrations", demonstrations)
        return str(output / "model"), {"setting": {"demonstrations": demonstrations, **setting}}

    def imitate(self, model, output, seed, setting, *shown):
        self.call("contexts", "--write", "supervised", "--model", model, "--seed", seed, "--output", output, "--batch",
                  14, "--learning-rate", setting["learning-rate"], "--steps", setting["steps"], "--threads",
                  self.o.threads, *shown)

    def best_of_judged(self, name, seed, rounds, setting, start):
        """Imitates the best of each of the groups, by the paid judge, in rounds: each samples from what the round before
        has made."""
        output = self.work / f"{name}-s{seed}"
        output.mkdir(parents=True, exist_ok=True)
        part = arms.JUDGED_GROUPS // rounds
        steps = {**setting, "steps": str(int(setting["steps"]) // rounds)}
        model = start
        for number in range(rounds):
            responses, chosen = output / f"responses-{number}.jsonl", output / f"best-{number}.jsonl"
            self.call("contexts", "--write", "responses", "--model", model, "--split", "train", "--count",
                      part * (number + 1), "--num-generations", 8, "--seed", seed, "--output", responses)
            best = {}
            for line in map(json.loads, open(responses)):
                kept = best.setdefault(line["row"], line)
                if line["paid_judge"] > kept["paid_judge"]:
                    best[line["row"]] = line
            with open(chosen, "w") as file:
                for row in sorted(best)[part * number:]:
                    file.write(json.dumps({k: best[row][k] for k in ("prompt", "response")}) + "\n")
            self.imitate(model, output / "model", seed, steps, "--pairs", chosen)
            responses.unlink()
            model = str(output / "model")
        return model, {"setting": {"rounds": rounds, "groups": part * rounds, **setting}}

    def result(self, name, seed):
        """The result of an arm with a seed, made where it is missing."""
        path = self.folder / f"{name}-s{seed}.json"
        if not path.exists():
            print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
            start = time.time()
            model, more = self.make(name, seed)
            seconds = time.time() - start
            record = {"arm": name, "seed": seed, "seconds": round(seconds, 1), **more,
                      **self.scores(model, name, seed)}
            path.write_text(json.dumps(record) + "\n")
        return json.loads(path.read_text())

    def make(self, name, seed):
        """Trains the arm; its model, and what else its record says. sft28 is sft on 28 demonstrations, sft28-0 its
        first setting, sft28+NAME the arm NAME after it; bestof4 imitates the best of judged groups in 4 rounds."""
        if name == "base":
            return BASE, {}
        start, plus, rest = name.rpartition("+")
        model = self.model_of(start, seed) if plus else BASE
        imitated = re.fullmatch(r"bestof(\d*)(?:-(\d))?", rest)
        if imitated:
            setting = imitated[2] or self.best_supervised(re.sub(r"-\d$", "", name))
            return self.best_of_judged(name, seed, int(imitated[1] or 1), arms.SUPERVISED[int(setting)], model)
        if plus:
            return self.train(name, seed, self.arguments(rest), model=model)
        supervised = re.fullmatch(r"(sft(\d*))(?:-(\d))?", name)
        if supervised:
            setting = supervised[3] or self.best_supervised(supervised[1])
            return self.supervised(name, seed, int(supervised[2] or self.o.demonstrations),
                                   arms.SUPERVISED[int(setting)])
        if name == "oracle-positive":
            return self.train(name, seed, arms.TRAINED[name], weights="positive.json")
        return self.train(name, seed, self.arguments(name))

    def model_of(self, name, seed):
        """The folder of the arm's model, made where it is missing."""
        self.result(name, seed)
        folder = self.work / f"{name}-s{seed}/model"
        if not folder.exists():
            self.make(name, seed)
        return str(folder)

    def arguments(self, name):
        if name in arms.TRAINED:
            return arms.TRAINED[name]
        if name == "best-single":
            return arms.fixed(self.candidates()[self.best(single=True)])
        if name == "best-global":
            return arms.fixed(self.candidates()[self.best(single=False)])
        if name == "best-subset":
            return arms.fixed(arms.subsets()[max(self.subsets(), key=lambda n: self.dev_score("global-" + n))])
        if name.startswith("global-set-"):
            return arms.fixed(arms.subsets()[name[7:]])
        if name.startswith("global-"):
            return arms.fixed(self.candidates()[name[7:]])
        sys.exit(f"learning.sh: no arm '{name}'; --list has them")

    def candidates(self):
        """Weights by name, of which the best are trained with: see arms.GLOBAL."""
        path = self.work / "responses.jsonl"
        if not path.exists():
            self.call("contexts", "--write", "responses", "--model", BASE, "--split", "dev", "--count", 210,
                      "--num-generations", 8, "--output", path)
        found = alignment.regression(alignment.load_groups(path))
        return {**arms.GLOBAL, "regression": found}

    def dev_score(self, name, seed=1):
        dev = self.result(name, seed)["dev"]
        return sum(sum(dev[d]["scores"]) / len(dev[d]["scores"]) for d in table.DECODINGS) / len(table.DECODINGS)

    def best(self, single):
        names = self.shortlist(single) + ([] if single else ["equal"] + self.shortlist(True))
        return max(names, key=lambda n: self.dev_score("global-" + n))

    def shortlist(self, single):
        found = {n: w for n, w in self.candidates().items() if n.startswith("only-") == single and n != "equal"}
        return self.best_agreeing(found, 2)

    def subsets(self):
        self.candidates()  # writes the responses
        return self.best_agreeing(arms.subsets(), 4)

    def best_agreeing(self, candidates, count):
        """Those of the candidates that agree best with the held-out judge on the base's responses."""
        groups = alignment.load_groups(self.work / "responses.jsonl")

        def agrees(weights):
            values = alignment.agreement(groups, lambda _: weights)
            return sum(values.values()) / len(values)

        return sorted(candidates, key=lambda n: -agrees(candidates[n]))[:count]

    def best_supervised(self, start):
        return max(range(len(arms.SUPERVISED)), key=lambda i: self.dev_score(f"{start}-{i}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/learning/examples")
    parser.add_argument("--headroom", action="store_true", help="the arms that say whether the families can tell")
    parser.add_argument("--arms", default="", help="names, with commas")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--steps", type=int, default=arms.STEPS)
    parser.add_argument("--demonstrations", type=int, default=14)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", default="runs/learning")
    parser.add_argument("--list", action="store_true", help="names the arms")
    options = parser.parse_args()
    if options.list:
        print("\n".join(["base", "sft", "best-single", "best-global", "best-subset", *arms.TRAINED,
                         *("global-" + n for n in arms.GLOBAL), "global-regression",
                         "sft28: on so many demonstrations", "bestof4: imitation of the best of judged groups, in 4 rounds", "sft+NAME, bestof4+NAME: any of these after supervised training, or after imitation"]))
        return
    names = [n for n in options.arms.split(",") if n]
    if options.headroom:
        names = arms.HEADROOM + [n for n in names if n not in arms.HEADROOM]
    if not names:
        sys.exit("learning.sh: give --headroom or --arms; --list names the arms")
    runs = Runs(options)
    for seed in map(int, options.seeds.split(",")):
        for name in names:
            runs.result(name, seed)
    text = table.tables(runs.folder, names)
    (runs.folder / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
