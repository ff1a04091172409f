"""A picture of the results of bench/learning.sh: for each arm the held-out score at the three decodings, with intervals.

  python3 bench/learning/plot.py FOLDER ARM... > arms.svg
"""
import sys

import table

COLORS = ["#1b6ca8", "#d07a1f", "#5a9e4b"]
ROW, LEFT, WIDTH, TOP = 34, 190, 560, 46


def bars(found, names):
    """For each arm its number of seeds, and (value, low, high) by decoding."""
    record = next(iter(found[names[0]].values()))
    families = table.families_of(record["held_out"]["tasks"])
    for name in names:
        scores = {d: table.scores_of(found[name], d, "held_out") for d in table.DECODINGS}
        yield name, len(found[name]), [table.figures(s, None, sorted(s), families)["all"] for s in scores.values()]


def svg(found, names):
    height = TOP + ROW * len(names) + 34
    x = lambda percent: LEFT + WIDTH * percent / 100
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="100%" height="100%" fill="white"/>']
    for place, (words, color) in enumerate(zip(table.DECODINGS.values(), COLORS)):
        out.append(f'<rect x="{LEFT + 130 * place}" y="12" width="12" height="10" fill="{color}"/>'
                   f'<text x="{LEFT + 130 * place + 17}" y="21">{words}</text>')
    for percent in range(0, 101, 20):
        out.append(f'<line x1="{x(percent)}" x2="{x(percent)}" y1="{TOP - 8}" y2="{height - 26}" stroke="#ddd"/>'
                   f'<text x="{x(percent)}" y="{height - 10}" text-anchor="middle">{percent} %</text>')
    for row, (name, seeds, values) in enumerate(bars(found, names)):
        y = TOP + ROW * row
        out.append(f'<text x="{LEFT - 8}" y="{y + 17}" text-anchor="end">{name} ({seeds})</text>')
        for place, ((value, low, high), color) in enumerate(zip(values, COLORS)):
            top = y + 9 * place
            out.append(f'<rect x="{LEFT}" y="{top}" width="{x(value) - LEFT:.1f}" height="7" fill="{color}"/>'
                       f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{top + 3.5}" y2="{top + 3.5}" '
                       'stroke="#222" stroke-width="1.5"/>')
    return "\n".join(out + ["</svg>"])


if __name__ == "__main__":
    found = table.load(sys.argv[1])
    print(svg(found, [name for name in sys.argv[2:] if name in found]))
