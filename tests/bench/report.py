#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tables and plots of what the benchmarks print.

    report.py [--subject kvfs] [--against A,B] [--svg FILE] [TSV...]

Lines are: round, subject, workload, value, unit, separated by tabs. Prints a
Markdown table: the median over the rounds and, as "±n %", half the distance
from the least to the greatest relative to it; then the subject's ratio to each
of --against, where "best" (the default) is the best of all others, but the
floor. Values in us, ms, MB and B are better when less; the table says so.
"""

import argparse
import collections
import math
import statistics
import sys

LESS_IS_BETTER = ("us", "ms", "MB", "B")
PALETTE = ("#1b6ca8", "#d1495b", "#edae49", "#3d8361", "#7d5ba6", "#66666e",
           "#00a6a6", "#a0522d")


class Results:
    """values[workload][subject] = one number a round; orders as first seen."""

    def __init__(self):
        self.values = collections.OrderedDict()
        self.units = {}
        self.subjects = []

    def add(self, line):
        _, subject, workload, value, unit = line.rstrip("\n").split("\t")
        if subject not in self.subjects:
            self.subjects.append(subject)
        self.units[workload] = unit
        row = self.values.setdefault(workload, {})
        row.setdefault(subject, []).append(float(value))

    def median(self, workload, subject):
        """None: not measured."""
        values = self.values[workload].get(subject)
        return statistics.median(values) if values else None

    def spread(self, workload, subject):
        """Half of greatest less least, as a part of the median."""
        values = self.values[workload][subject]
        middle = statistics.median(values)
        return (max(values) - min(values)) / 2 / middle if middle else 0.0

    def less_is_better(self, workload):
        return self.units[workload] in LESS_IS_BETTER

    def best(self, workload, but):
        """The best median of all subjects but one, and but the floor, which is
        none of the others; None: there is none."""
        medians = [self.median(workload, s) for s in self.subjects
                   if s not in (but, "floor") and s in self.values[workload]]
        if not medians:
            return None
        return min(medians) if self.less_is_better(workload) else max(medians)

    def ratio(self, workload, subject, against):
        """The subject's median in terms of another's; None: one is missing."""
        mine = self.median(workload, subject)
        if against == "best":
            other = self.best(workload, subject)
        else:
            other = self.median(workload, against)
        return mine / other if mine is not None and other else None


def load(files):
    results = Results()
    for file in files:
        for line in file:
            if line.strip() and not line.startswith("#"):
                results.add(line)
    return results


def shown(value):
    """Three significant digits, thousands as k and M."""
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            value /= size
            break
    else:
        letter = ""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return "%.*f%s" % (digits, value, letter)


def cell(results, workload, subject):
    value = results.median(workload, subject)
    if value is None:
        return "-"
    spread = 100 * results.spread(workload, subject)
    return "%s ±%.0f %%" % (shown(value), spread)


def table(results, subject, against):
    """The lines of a Markdown table."""
    columns = [s for s in results.subjects if s != subject]
    if subject in results.subjects:
        columns.append(subject)
    else:
        against = []
    heads = ["work", "unit"] + columns + ["%s / %s" % (subject, a)
                                          for a in against]
    yield "| " + " | ".join(heads) + " |"
    yield "|---|---|" + "--:|" * (len(heads) - 2)
    for workload, unit in results.units.items():
        if results.less_is_better(workload):
            unit += " (less is better)"
        row = [workload, unit]
        row += [cell(results, workload, s) for s in columns]
        for other in against:
            ratio = results.ratio(workload, subject, other)
            row.append("-" if ratio is None else "**%.2f**" % ratio)
        yield "| " + " | ".join(row) + " |"


class Axis:
    """A logarithmic scale for one unit's values."""

    def __init__(self, least, greatest, left, right):
        self.low = math.floor(math.log10(least))
        self.high = max(self.low + 1, math.ceil(math.log10(greatest)))
        self.left, self.right = left, right

    def at(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.left + part * (self.right - self.left)

    def ticks(self):
        return [10.0 ** i for i in range(self.low, self.high + 1)]


def text(x, y, words, anchor="start", color="#333"):
    return ('<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>'
            % (x, y, anchor, color, words))


def plot_panel(results, unit, top, left, right):
    """(lines, height) of the workloads of one unit: a row each."""
    rows = [w for w, u in results.units.items() if u == unit]
    positive = [v for w in rows for vs in results.values[w].values()
                for v in vs if v > 0]
    if not positive:
        return [], 0
    axis = Axis(min(positive), max(positive), left, right)
    bottom = top + 24 + 22 * len(rows)
    lines = [text(left, top + 12, unit + (
        " (less is better)" if unit in LESS_IS_BETTER else ""))]
    for tick in axis.ticks():
        x = axis.at(tick)
        lines.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" '
                     'stroke="#ddd"/>' % (x, top + 20, x, bottom))
        lines.append(text(x, bottom + 14, shown(tick), "middle", "#888"))
    for i, workload in enumerate(rows):
        y = top + 35 + 22 * i
        lines.append(text(left - 10, y + 4, workload, "end"))
        lines += plot_row(results, workload, axis, y)
    return lines, bottom + 30 - top


def plot_row(results, workload, axis, y):
    """A dot at each subject's median and a whisker over its rounds."""
    lines = []
    for i, subject in enumerate(results.subjects):
        values = [v for v in results.values[workload].get(subject, ())
                  if v > 0]
        if not values:
            continue
        color = PALETTE[i % len(PALETTE)]
        lines.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" '
                     'stroke="%s" stroke-width="2" opacity="0.5"/>'
                     % (axis.at(min(values)), y, axis.at(max(values)), y,
                        color))
        lines.append('<circle cx="%.1f" cy="%.1f" r="4.5" fill="%s"/>'
                     % (axis.at(statistics.median(values)), y, color))
    return lines


def svg(results):
    """The lines of a picture: a panel for each unit, one scale in each."""
    left, right, y = 190, 860, 40
    body, x = [], left
    for i, subject in enumerate(results.subjects):
        body.append('<circle cx="%d" cy="20" r="4.5" fill="%s"/>'
                    % (x, PALETTE[i % len(PALETTE)]))
        body.append(text(x + 9, 24, subject))
        x += 30 + 8 * len(subject)
    for unit in dict.fromkeys(results.units.values()):
        lines, height = plot_panel(results, unit, y, left, right)
        body += lines
        y += height
    yield ('<svg xmlns="http://www.w3.org/2000/svg" width="900" height="%d" '
           'font-family="sans-serif" font-size="12">' % y)
    yield '<rect width="100%" height="100%" fill="white"/>'
    yield from body
    yield "</svg>"


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)


def main():
    parser = argparse.ArgumentParser(
        description="Tables and plots of what the benchmarks print.")
    parser.add_argument("--subject", default="kvfs")
    parser.add_argument("--against", default="best")
    parser.add_argument("--svg")
    parser.add_argument("tsv", nargs="*", type=argparse.FileType("r"),
                        default=[sys.stdin])
    args = parser.parse_args()
    results = load(args.tsv)
    for line in table(results, args.subject, args.against.split(",")):
        print(line)
    if args.svg:
        write(args.svg, svg(results))


if __name__ == "__main__":
    main()
