"""What is measured on a device: every case is a set of sides that do the same work, the first of which is ours."""

from dataclasses import dataclass, field

from harness.cases import Side

FLOAT = 4
MOST_IN_CACHES = 512 << 20  # bytes; inputs that are used in turn are more than this together


@dataclass
class Case:
    name: str  # for --only
    title: str
    sides: list
    options: dict  # of every side
    gbytes: float  # inputs and outputs once
    gflop: float = 0.0
    aims: dict = field(default_factory=dict)  # least ratio by the peer's kind; "bandwidth": least share of it
    quick: bool = False
    headline: bool = False  # a row of the README's table

    @property
    def type(self):
        return self.options.get("type", "float")


def _sides(graphs=False):
    sides = [Side("maestro"), Side("PyTorch", "eager"), Side("torch.compile", "compiled")]
    if graphs:  # worth it where launches cost more than what they launch
        sides.append(Side("torch.compile, CUDA graphs", "graphs"))
    return sides


def _size(kind):
    return 2 if kind == "bf16" else FLOAT


def chain(rows, rewards, inputs, variant="one_hot", kind="float", quick=False, aims=None):
    options = dict(work="chain", variant=variant, type=kind, rows=rows, rewards=rewards, inputs=inputs, group=8)
    read = rows * inputs * _size(kind) + rewards * inputs * _size(kind) + rows * rewards * FLOAT
    written = rows * (3 * rewards + 2) * FLOAT  # probabilities, weights, base; actions, advantages
    about = "" if variant == "one_hot" else f", {variant}"
    title = f"decide, scalarize, advantages: B {rows}, K {rewards}, d {inputs}, {kind}{about}"
    gflop = 2e-9 * rows * inputs * rewards
    return Case("chain", title, _sides(graphs=True), options, 1e-9 * (read + written), gflop, aims or {}, quick)


def scalarize(variant, group, quick=False):
    rows, rewards = 1000000 // group * group, 5
    counterfactual = variant.endswith("_counterfactual")
    floats = rows * (2 * rewards + 1)
    if counterfactual:
        floats += rows * (2 * rewards + 1)  # base, counterfactuals, actions
    options = dict(work="scalarize", variant=variant, rows=rows, rewards=rewards, group=group)
    options["copies"] = _copies(rows * 3 * rewards * FLOAT)
    name = variant.removesuffix("_counterfactual").replace("_", " ") + (", counterfactuals" if counterfactual else "")
    title = f"scalarize: {name}, B {rows}, K {rewards}, G {group}"
    return Case("scalarize", title, _sides(), options, 1e-9 * FLOAT * floats, quick=quick)


def statistics(variant, rewards, group, quick=False):
    rows = 1000000 // group * group
    cells = rows // group * rewards
    size = FLOAT * (rows * rewards + 4 * cells)
    if variant == "all":
        size += FLOAT * cells * rewards + 8 * rows * rewards
    options = dict(work="statistics", variant=variant, rows=rows, rewards=rewards, group=group)
    options["copies"] = _copies(rows * rewards * FLOAT)
    about = "mean, deviation, min, max" + (", covariance, ranks" if variant == "all" else "")
    title = f"statistics: {about}, B {rows}, K {rewards}, G {group}"
    aims = {"bandwidth": 0.8} if variant == "moments" else {}
    return Case("statistics", title, _sides(), options, 1e-9 * size, aims=aims, quick=quick)


def _head(width, inputs, rewards):
    """(parameters, multiplications of a row forward, of a row backward through the layers after the first)"""
    if width == 0:
        return (inputs + 1) * rewards, inputs * rewards, 0
    return (inputs + 1) * width + (width + 1) * rewards, inputs * width + width * rewards, width * rewards


def update(work, width, kind, quick=False):
    rows, inputs, rewards = 3072, 4096, 5
    parameters, forward, through = _head(width, inputs, rewards)
    hidden = rows * inputs * _size(kind)
    options = dict(work=work, type=kind, rows=rows, rewards=rewards, inputs=inputs, width=width)
    gflop = 2e-9 * rows * (2 * forward + through)
    head = f"MLP {width}" if width else "linear"
    if work == "mlp":
        size = hidden + 2 * FLOAT * parameters  # read; gradients
        title = f"head forward and backward: {head}, B {rows}, d {inputs}, {kind}"
    else:
        size = 2 * hidden + 7 * FLOAT * parameters  # remembered; gradients, parameters and two moments, in and out
        title = f"Conductor's update: {head}, {rows} entries, d {inputs}, {kind}"
    return Case(work, title, _sides(graphs=True), options, 1e-9 * size, gflop, quick=quick)


def _mark_headlines(cases):
    """Those that the README's table shows: quick ones too, and first where time is short."""
    titles = (
        chain(1024, 5, 4096).title,
        statistics("moments", 5, 8).title,
        update("update", 0, "float").title,
        update("update", 256, "float").title,
    )
    for case in cases:
        case.headline = case.title in titles
        case.quick = case.quick or case.headline
    return cases


def loss(rows, quick=False):
    sides = [Side("maestro")]
    for form in ("packed", "padded"):
        for side in _sides(graphs=form == "packed")[1:]:
            sides.append(Side(f"{side.label}, {form}", side.peer, {"form": form}))
    options = dict(work="loss", rows=rows)
    tokens = sum(384 + _scrambled(8, row) % 257 for row in range(rows))
    title = f"GRPO loss and gradient with KL: {rows} responses, {tokens} tokens"
    return Case("loss", title, sides, options, 1e-9 * FLOAT * 4 * tokens, quick=quick)


def _scrambled(purpose, index):
    """As in inputs.hpp."""
    mask = 0xFFFFFFFF
    x = (index + purpose * 0x3779B97F) & mask
    x ^= x >> 16
    x = (x * 0x7FEB352D) & mask
    x ^= x >> 15
    x = (x * 0x5BD1E995) & mask
    return x ^ (x >> 16)


def _copies(size):
    return min(MOST_IN_CACHES // size + 1, 32)


def all_cases():
    cases = [
        chain(1024, 5, 4096, quick=True, aims={"eager": 5.0, "compiled": 2.0, "graphs": 2.0}),
        chain(1024, 5, 4096, variant="blended"),
        chain(1024, 5, 4096, kind="bf16", quick=True),
    ]
    for rows in (64, 1024, 16384, 262144):
        for inputs in (896, 4096, 8192):
            if (rows, inputs) != (1024, 4096) and (rows < 262144 or inputs == 896):
                cases.append(chain(rows, 5, inputs, quick=(rows, inputs) == (64, 896)))
        for rewards in (2, 16):
            cases.append(chain(rows, rewards, 4096 if rows < 262144 else 896))
    for group in (8, 64):
        for name in ("group_relative", "gdpo", "own_weight"):
            cases.append(scalarize(name, group, quick=group == 8))
            cases.append(scalarize(f"{name}_counterfactual", group))
    for variant in ("moments", "all"):
        for rewards in (5, 16):
            for group in (4, 8, 64):
                cases.append(statistics(variant, rewards, group, quick=(rewards, group) == (5, 8)))
    for work in ("update", "mlp"):
        for width in (0, 64, 256):
            for kind in ("float", "bf16"):
                cases.append(update(work, width, kind, quick=(work, width) == ("update", 64)))
    cases.append(loss(256, quick=True))
    return _mark_headlines(cases)


NAMES = ("limits", "chain", "scalarize", "statistics", "update", "mlp", "loss")


def self_test_cases(quick):
    """The same cases in small, each once; compiled peers for one case of each work."""
    found, seen, compiled = [], set(), set()
    for case in all_cases():
        o = case.options
        if case.name in ("chain", "update", "mlp"):
            o.update(rows=96, inputs=64)
        elif case.name == "loss":
            o.update(rows=8)
        else:
            o.update(rows=1280, copies=2)
        key = tuple(o.items())
        if key in seen or (quick and not case.quick):
            continue
        seen.add(key)
        kinds = {"eager"} if case.name in compiled else {"eager", "compiled"}
        compiled.add(case.name)
        case.sides = [s for s in case.sides if not s.peer or s.peer in kinds]
        case.title = f"self-test, {case.title.split(':')[0]}: " + ", ".join(
            f"{name} {value}" for name, value in o.items() if name not in ("work", "copies")
        )
        case.aims = {}
        found.append(case)
    return found


def chosen_cases(only, title, quick, peers, self_test):
    cases = self_test_cases(quick) if self_test else all_cases()
    cases = [c for c in cases if (not only or c.name in only) and (not title or title in c.title)]
    if quick:
        cases = [c for c in cases if c.quick]
    if not peers:
        for case in cases:
            case.sides = case.sides[:1]
    return cases
