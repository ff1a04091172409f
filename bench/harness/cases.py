"""What is measured: every case is a set of sides that do the same work, the first of which is ours."""

from dataclasses import dataclass, field

SHIPPED = "examples/models/base"


@dataclass
class Side:
    """One program. `peer` is empty for ours."""

    label: str
    peer: str = ""
    options: dict = field(default_factory=dict)


@dataclass
class Case:
    name: str  # for --only
    title: str
    sides: list
    options: dict  # of every side
    repetitions: int = 7
    quick: bool = False  # also in a quick run
    compare: str = "seconds"  # the figure whose ratio is printed, peer over ours
    fresh: bool = False  # a new process for each repetition, which does the work once
    note: str = ""

    @property
    def model(self):
        return self.options.get("model", "")


def _eager():
    return Side("PyTorch", "eager")


def _compiled():
    return Side("torch.compile", "compiled")


def _training(model, groups, quick=False, repetitions=7, inner=1):
    cases = []
    for prompt, response, layout in ((64, 128, "prompts of 64 shared by 8"), (1, 192, "nothing to share")):
        options = dict(work="training_step", model=model, prompt=prompt, response=response, groups=groups, inner=inner)
        title = f"training step, {model}, {layout}"
        sides = [Side("maestro"), _eager()]
        if prompt > 1:  # compiling takes minutes: once a model
            sides.append(_compiled())
        cases.append(Case("training_step", title, sides, options, repetitions, quick))
    return cases


def _lora(model, groups, repetitions=5):
    options = dict(work="training_step", variant="lora", model=model, prompt=64, response=128, groups=groups)
    title = f"training step of LoRA adapters, {model}, prompts of 64 shared by 8"
    return Case("training_step", title, [Side("maestro"), Side("PyTorch, PEFT", "eager")], options, repetitions)


def _generation(model, groups, generations, prompt, quick=False, repetitions=5, variant=""):
    options = dict(
        work="generation", model=model, prompt=prompt, response=128, groups=groups, generations=generations
    )
    if variant:
        options["variant"] = variant
    held = " in bfloat16" if variant == "bf16" else ""
    title = f"generation, {model}{held}, {groups} x {generations} responses, prompt of {prompt}"
    return Case("generation", title, [Side("maestro"), Side("transformers", "eager")], options, repetitions, quick)


def _grpo(model, groups, quick=False, repetitions=5):
    options = dict(work="grpo_step", model=model, groups=groups, prompt=64, response=128)
    title = f"GRPO step, {model}, {groups} x 8 responses"
    sides = [Side("maestro"), Side("TRL", "trl")]
    return Case("grpo_step", title, sides, options, repetitions, quick, compare="seconds_per_token")


def _scalarization(variant, title, quick, trl=False):
    sides = [Side("maestro"), _eager(), _compiled()]
    if trl:
        sides.append(Side("TRL's arithmetic", "trl"))
    options = dict(work="scalarization", variant=variant, rows=1000000, inner=5)
    return Case("scalarization", f"scalarization, 1e6 x 5, {title}", sides, options, 9, quick)


def _shared_prefix(model, groups):
    prompt, response, generations = 512, 128, 8
    predicted = generations * (prompt + response) / (prompt + generations * response)
    options = dict(work="shared_prefix", model=model, prompt=prompt, response=response, groups=groups)
    sides = [
        Side("shared rows", options=dict(variant="shared")),
        Side("separate rows", options=dict(variant="separate")),
    ]
    title = f"forward and backward, {model}, prompt of 512 shared by 8"
    return Case("shared_prefix", title, sides, options, 5, note=f"{predicted:.2f} predicted by rows")


def _memory(model, title, variant=""):
    options = dict(work="training_step", model=model, prompt=64, response=128, groups=2, warmup=0)
    if variant:
        options["variant"] = variant
        sides = [Side("maestro"), Side("PyTorch, PEFT", "eager")]
        return Case("memory", title, sides, options, 2, compare="peak_bytes", fresh=True)
    sides = [Side("maestro"), _eager(), Side("PyTorch, TRL's fused head", "fused_head")]
    return Case("memory", title, sides, options, 2, compare="peak_bytes", fresh=True)


def all_cases():
    return [
        *_training("shipped", groups=4, quick=True),
        *_training("25m", groups=2, repetitions=5),
        *_training("135m", groups=1, repetitions=3),
        _lora("135m", groups=1),
        _generation("shipped", 4, 8, 64, quick=True),
        _generation("shipped", 4, 8, 512),
        _generation("135m", 1, 8, 64),
        _generation("135m", 1, 8, 512),
        _generation("135m", 1, 1, 64),
        _generation("135m", 1, 8, 64, variant="bf16", repetitions=3),
        _generation("135m", 1, 1, 64, variant="bf16", repetitions=3),
        _grpo("shipped", groups=8, quick=True, repetitions=6),
        _grpo("135m", groups=1, repetitions=5),
        _shared_prefix("shipped", groups=1),
        _shared_prefix("25m", groups=1),
        _scalarization("group_relative", "group-relative", quick=True, trl=True),
        _scalarization("counterfactual", "with counterfactuals", quick=True),
        _scalarization("own_weight", "own-weight baseline", quick=True),
        _memory("v152k-d256", "peak memory, V 151,936, d 256, 4 layers"),
        _memory("v152k-d896", "peak memory, V 151,936, d 896, 4 layers"),
        _memory("135m", "peak memory, 135m"),
        _memory("135m", "peak memory of a LoRA step, 135m", variant="lora"),
    ]


NAMES = ("limits", "training_step", "generation", "grpo_step", "shared_prefix", "scalarization", "conductor_share",
         "memory")


def chosen_cases(only, quick, peers):
    """The cases of this run; conductor_share is a figure of our side of grpo_step."""
    cases = all_cases()
    if only:
        cases = [c for c in cases if c.name in only or (c.name == "grpo_step" and "conductor_share" in only)]
    if quick:
        cases = [c for c in cases if c.quick]
    for case in cases:
        if quick:
            case.repetitions = 5
            case.sides = [s for s in case.sides if s.peer != "compiled"]
        if not peers or (only and case.name not in only):
            case.sides = [s for s in case.sides if not s.peer]
    return cases
