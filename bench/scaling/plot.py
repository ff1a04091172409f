"""Draws one PNG per factor from the CSV files of the program `scaling`: seconds per step and peak memory.

    plot.py FOLDER

Both axes are logarithmic. The dashed line is what a linear cost would be: a + b x through the first and the last point.
A curve that sags below it in between grows faster than linearly.
"""

import csv
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

# factor: (title, label of the x axis, column of the x values)
FACTORS = {
    "prompt_length": ("Prompt length", "P, tokens of a prompt", "prompt_length"),
    "response_length": ("Response length", "R, tokens of a response", "response_length"),
    "group_size": ("Group size", "G, responses per prompt", "group_size"),
    "vocabulary": ("Vocabulary", "V, tokens of the vocabulary", "vocabulary"),
    "rewards": ("Number of rewards", "K, rewards", "rewards"),
    "hidden_size": ("Model size", "parameters", "parameters"),
}
BASE = "base: N = 4 prompts, P = 64, R = 64, G = 8, V = 272, K = 4, d = 128, 4 layers"


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def short(value, _=None):
    """1500000 as 1.5M, 2048 as it is."""
    if value < 1e5 and value == int(value):
        return f"{int(value)}"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def seconds(value, _=None):
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


def bytes_text(value, _=None):
    return f"{value / 1e9:.3g} GB" if value >= 1e9 else f"{value / 1e6:.3g} MB"


def log_axis(axis, formatter, subs):
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=20))
    axis.set_major_formatter(FuncFormatter(formatter))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def prepare(axes, x, x_label):
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x_label)
    axes.xaxis.set_major_locator(FixedLocator(x))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.grid(True, which="major", alpha=0.3)


def linear(axes, x, y):
    """a + b x through both ends, at many points, since it is no straight line on logarithmic axes."""
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    fine = [x[0] * (x[-1] / x[0]) ** (i / 100) for i in range(101)]
    axes.plot(fine, [y[0] + slope * (v - x[0]) for v in fine], "--", color="gray", zorder=1,
              label="linear cost: a + b x through both ends")


def draw(folder, factor):
    title, x_label, column = FACTORS[factor]
    data = read(folder / f"{factor}.csv")
    x = data[column]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), constrained_layout=True)
    figure.suptitle(f"{title}\n{BASE}", fontsize=11)

    prepare(left, x, x_label)
    linear(left, x, data["total_s"])
    parts = (("whole step", "total_s", "black", "o"), ("rollout", "rollout_s", "tab:blue", "s"),
             ("training: forward, backward, optimizer", "training_s", "tab:orange", "^"),
             ("Conductor and advantages", "conductor_s", "tab:green", "v"))
    for label, name, color, marker in parts:
        left.plot(x, data[name], color=color, marker=marker, markersize=4, label=label)
    left.set_ylabel("time of a step")
    log_axis(left.yaxis, seconds, (1.0,))

    prepare(right, x, x_label)
    memory = data["peak_bytes"]
    linear(right, x, memory)
    right.plot(x, memory, color="black", marker="o", markersize=4, label="peak resident memory")
    right.set_ylim(min(memory) / 2, max(memory) * 2)
    right.set_ylabel("peak memory of the process")
    log_axis(right.yaxis, bytes_text, (1.0, 2.0, 3.0, 5.0, 7.0))

    for axes in (left, right):
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2, frameon=False)
    target = folder / f"{factor}.png"
    figure.savefig(target, dpi=130)
    plt.close(figure)
    print(target)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    for factor in FACTORS:
        draw(folder, factor)


if __name__ == "__main__":
    main()
