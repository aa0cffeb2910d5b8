"""figures.py - what the runs of a comparison amount to: medians, ratios, geometric means, and how sure they are.

A figure of a row on a malloc is the median of its rounds. A ratio is that of two such medians; a geometric mean is taken over
the rows where both mallocs worked. Intervals are of 95 %, by bootstrap: the rounds of a row are drawn anew, with
replacement and the same for every malloc since the runs of a round stood side by side, a thousand times, and what lies
between the 2.5th and the 97.5th percentile of the results is the interval. From fewer than five rounds there is none.
"""
import random
import statistics
from collections import namedtuple

COSTS = [("cpu", "CPU time", "s", 2), ("wall", "wall time", "s", 2), ("peak", "peak RSS", "MiB", 1),
         ("at_exit", "RSS at exit", "MiB", 1)]
DRAWS = 1000
FEWEST = 5  # rounds

Ratio = namedtuple("Ratio", "value low high")  # low and high None: too few rounds


def interval(drawn):
    drawn = sorted(drawn)
    return drawn[len(drawn) * 25 // 1000], drawn[len(drawn) * 975 // 1000 - 1]


class Figures:
    """Every measured run of some rows on some mallocs. A row that failed on a malloc has a fault instead."""

    def __init__(self):
        self.runs = {}  # (row, malloc) -> [Run], one for each round
        self.faults = {}  # (row, malloc) -> what was wrong first
        self._drawn = {}

    def works(self, row, *mallocs):
        return all((row, malloc) in self.runs and (row, malloc) not in self.faults for malloc in mallocs)

    def values(self, row, malloc, cost):
        return [getattr(run, cost) for run in self.runs[row, malloc]]

    def median(self, row, malloc, cost):
        return statistics.median(self.values(row, malloc, cost))

    def own_figures(self, row, malloc):
        """The medians of what the row's program measured itself."""
        runs = self.runs[row, malloc]
        return {name: statistics.median(run.figures[name] for run in runs) for name in runs[0].figures}

    def drawn(self, row, malloc, cost):
        key = row, malloc, cost
        if key not in self._drawn:
            values, dice = self.values(*key), random.Random(row)
            self._drawn[key] = [statistics.median(dice.choices(values, k=len(values))) for _ in range(DRAWS)]
        return self._drawn[key]

    def _with_interval(self, value, rows, of):
        if min(len(runs) for (row, _), runs in self.runs.items() if row in rows) < FEWEST:
            return Ratio(value, None, None)
        return Ratio(value, *interval(of()))

    def ratio(self, row, malloc, base, cost):
        """malloc's figure over base's."""
        value = self.median(row, malloc, cost) / self.median(row, base, cost)
        return self._with_interval(value, [row], lambda: [a / b for a, b in zip(self.drawn(row, malloc, cost),
                                                                                 self.drawn(row, base, cost))])

    def best(self, row, mallocs, cost):
        """Who of the mallocs has the least in a row; None when all failed."""
        return min((malloc for malloc in mallocs if self.works(row, malloc)),
                   key=lambda malloc: self.median(row, malloc, cost), default=None)

    def mean(self, pairs, malloc, cost):
        """The geometric mean of malloc's ratio to the base, over `pairs` of a row and a base; None when there are none."""
        pairs = [(row, base) for row, base in pairs if base and self.works(row, malloc, base)]
        if not pairs:
            return None
        value = statistics.geometric_mean(self.median(row, malloc, cost) / self.median(row, base, cost) for row, base in pairs)

        def draws():
            ratios = [[a / b for a, b in zip(self.drawn(row, malloc, cost), self.drawn(row, base, cost))] for row, base in pairs]
            return [statistics.geometric_mean(draw) for draw in zip(*ratios)]

        return self._with_interval(value, [row for row, _ in pairs], draws)
