"""The arms of bench/learning.sh: what each one adds to the settings that all share."""
import json
import pathlib

REWARDS = ["brevity", "confidence", "elaboration", "chrf", "liking", "format"]
ORACLE = json.load(open(pathlib.Path(__file__).parent / "oracle.json"))
FAMILIES = list(ORACLE)

# What all runs share: responses, schedule, no reward model, no resuming.
SHARED = ["--num-generations", "8", "--max-completion-length", "48", "--lr-scheduler-type", "linear",
          "--reward-model", "", "--resume", "never"]
# The arms of the table; chosen on the dev split with the oracle's weights and seed 1, of ten settings.
COMMON = SHARED + ["--prompts-per-step", "28", "--learning-rate", "7e-4", "--warmup-steps", "20",
                   "--beta", "0.05"]
STEPS = 240
# The search for global weights is shorter.
SEARCH = SHARED + ["--prompts-per-step", "21", "--learning-rate", "1e-3", "--warmup-steps", "20",
                   "--beta", "0.02"]
SEARCH_STEPS = 100
CHEAP = ["--rewards", ",".join(REWARDS)]


def fixed(weights):
    return CHEAP + ["--conductor", "fixed", "--weights", ",".join(f"{w:g}" for w in weights)]


def alone(reward):
    return ["--rewards", reward, "--conductor", "equal"]


def subsets():
    """Every set of the rewards, weighted equally: {name: weights}."""
    chosen = ([r for place, r in enumerate(REWARDS) if mask >> place & 1] for mask in range(1, 2 ** len(REWARDS)))
    return {"set-" + "-".join(names): [float(r in names) for r in REWARDS] for names in chosen}


def signs_of_majority():
    """For each reward the sign that most families give it, 0 where some give it none."""
    signs = [[(w > 0) - (w < 0) for w in (ORACLE[family][reward] for family in FAMILIES)] for reward in REWARDS]
    return [0 if 0 in each else (sum(each) > 0) - (sum(each) < 0) for each in signs]


# The search for the best global weights: of these vectors, and of the least squares of the held-out judge on the base's
# responses (dev prompts), equal, the two that agree best with that judge there, and the two best single rewards, are
# trained with on seed 1; the best on the dev split is taken.
GLOBAL = {
    "equal": [1] * 6,
    "majority": signs_of_majority(),
    **{"without-" + left: [float(r != left) for r in REWARDS] for left in ("liking", "format", "brevity")},
    **{"only-" + reward: [float(r == reward) for r in REWARDS] for reward in REWARDS},
}

MAESTRO = ["--conductor", "linear", "--conductor-learning-rate", "3e-3"]


def anchored(share, *more):
    """Weights learned from the paid judge, which scores this share of the groups and is no reward itself."""
    context = [] if "--anchor-context" in more else ["--anchor-context", "hidden"]
    return ["--rewards", ",".join(REWARDS + ["paid_judge"]), "--anchor", "judge", "--anchor-reward", "paid_judge",
            "--conductor", "anchored", "--anchor-share", str(share), *context, *more]


def judged_equally(share, *more):
    """Equal weights, and the paid judge, which scores this share of the groups, in their advantages."""
    return ["--rewards", ",".join(REWARDS + ["paid_judge"]), "--anchor", "judge", "--anchor-reward", "paid_judge",
            "--conductor", "equal", "--anchor-share", str(share), *more]


TRAINED = {
    "equal": CHEAP + ["--conductor", "equal"],
    "random": CHEAP + ["--conductor", "random"],
    "gdpo": CHEAP + ["--preset", "gdpo"],
    "dvao": CHEAP + ["--preset", "dvao"],
    "maestro": CHEAP + MAESTRO,
    "maestro-paper": CHEAP + ["--conductor", "maestro_paper"],
    "oracle": CHEAP + ["--conductor", "prompt"],
    "oracle-positive": CHEAP + ["--conductor", "prompt"],
    "judge": ["--rewards", "paid_judge", "--conductor", "equal"],
    **{rule: CHEAP + ["--conductor", rule] for rule in ("saw", "contrast", "exp3", "predictability", "consensus")},
    "gradient-guided": CHEAP + ["--conductor", "gradient_guided"],
    "equal-dr-grpo": CHEAP + ["--conductor", "equal", "--scalarization", "dr_grpo"],
    "hypervolume-guided": CHEAP + ["--conductor", "hypervolume_guided", "--scalarization", "dr_grpo"],
    "anchored-2": anchored(0.02),
    "anchored-5": anchored(0.05),
    "anchored-10": anchored(0.1),
    "anchored-100": anchored(1),
    "anchored-5-marginal": anchored(0.05, "--anchor-form", "marginal"),
    "anchored-5-task": anchored(0.05, "--anchor-context", "task"),
    "anchored-5-prompt": anchored(0.05, "--anchor-context", "prompt"),
    "anchored-2-prompt": anchored(0.02, "--anchor-context", "prompt"),
    "anchored-10-prompt": anchored(0.1, "--anchor-context", "prompt"),
    "anchored-5-global": anchored(0.05, "--anchor-context", "global"),
    "anchored-5-control": anchored(0.05, "--anchor-train", "control"),
    "anchored-5-prompt-judge": anchored(0.05, "--anchor-context", "prompt", "--anchor-train", "judge"),
    # In a judged group c / share = 1/7 of the advantage is the judge's: one more reward beside six of equal weight.
    "judge-as-reward-5": judged_equally(0.05, "--anchor-train", "control", "--anchor-control", str(0.05 / 7)),
    "judge-alone-5": judged_equally(0.05, "--anchor-train", "judge"),
    "anchored-demonstrations": CHEAP + ["--conductor", "anchored", "--anchor", "demonstrations", "--anchor-column",
                                        "demonstration"],
}
HEADROOM = ["base", "sft", "sft28", "equal", "best-global", "oracle", "judge", "sft+oracle"]
# What 5 % of the groups of a run are: imitation of the best of as many judged groups is measured beside it.
JUDGED_GROUPS = STEPS * 28 // 20
# Supervised training, on demonstrations or on the best of judged groups: tried on the dev split with seed 1.
SUPERVISED = [{"learning-rate": rate, "steps": steps}
              for rate, steps in (("1e-3", "60"), ("1e-3", "150"), ("3e-3", "40"), ("3e-3", "100"))]
