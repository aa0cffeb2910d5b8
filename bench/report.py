"""report.py - the tables of `make bench`, for a terminal and in Markdown, and its JSON.

For each cost two tables: every malloc against allot, with intervals, and every malloc, allot too, against the best peer of
each row, where allot's losses stand out. Then what the programs measured themselves, then what allot's levels of safety cost
and what safety costs elsewhere, then allot's standing in a few lines. A level of allot's is nobody's peer: it is never the best
of a row.
"""
import json

from figures import COSTS
from terminal import colour

KINDS = {"bound": "allocation-bound", "real": "real programs", "given": "given commands"}
LOSS = 1.10  # from here on a row of allot's is marked


class Cell:
    def __init__(self, text, mark=None):
        self.text, self.mark = text, mark  # mark: good, bad or strong


def ratio_cell(ratio, mark=None, digits=2):
    if ratio is None:
        return Cell("-")
    if ratio.low is None:
        return Cell(f"{ratio.value:.{digits}f}", mark)
    return Cell(f"{ratio.value:.{digits}f} [{ratio.low:.{digits}f} {ratio.high:.{digits}f}]", mark)


def part(mine, theirs):
    """How much of theirs mine is, of what they cost above 1."""
    return f"{(mine.value - 1) / (theirs.value - 1):.2f}" if mine and theirs and theirs.value > 1 else "-"


def standing(ratio):
    """How allot's ratio to the best peer is marked."""
    return "bad" if ratio.value > LOSS else "good" if ratio.value <= 1 else None


class Report:
    def __init__(self, figures, rows, mallocs, levels=(), pairs=()):
        self.figures = figures
        self.rows = rows
        self.mallocs = [malloc.name for malloc in mallocs]
        self.others = self.mallocs[1:]  # the first is allot
        self.levels = [level.name for level in levels]
        self.peers = [name for name in self.others if name not in self.levels]
        self.pairs = pairs
        self.priced = [*((level, self.mallocs[0]) for level in self.levels), *pairs]  # (malloc, base)

    def of_kind(self, kind):
        return [row.name for row in self.rows if row.kind == kind]

    def best(self, row, cost):
        return self.figures.best(row, self.peers, cost)

    def against_allot(self, cost, title, unit, digits):
        table = [["row", f"allot {unit}", *self.others]]
        for kind, name in KINDS.items():
            rows = self.of_kind(kind)
            for row in rows:
                here = self.figures.works(row, "allot")
                table.append([Cell(row), Cell(f"{self.figures.median(row, 'allot', cost):.{digits}f}") if here else FAILED] + [
                    FAILED if not self.figures.works(row, other) else
                    ratio_cell(self.figures.ratio(row, other, "allot", cost)) if here else Cell("-") for other in self.others])
            if rows:
                table.append([Cell(f"geometric mean, {name}", "strong"), Cell("")] + [
                    ratio_cell(self.mean_over("allot", rows, other, cost), "strong") for other in self.others])
        return f"{title}, each over allot's: above 1, allot is better", table

    def against_best(self, cost, title, unit, digits):
        table = [["row", f"best {unit}", "best peer", *self.mallocs]]
        for kind, name in KINDS.items():
            rows = self.of_kind(kind)
            for row in rows:
                best = self.best(row, cost)
                cells = [Cell(row), Cell(f"{self.figures.median(row, best, cost):.{digits}f}" if best else "-"), Cell(best or "-")]
                for malloc in self.mallocs:
                    if not self.figures.works(row, malloc):
                        cells.append(FAILED)
                    elif not best:
                        cells.append(Cell("-"))
                    else:
                        ratio = self.figures.ratio(row, malloc, best, cost)
                        cells.append(ratio_cell(ratio, standing(ratio)) if malloc == "allot" else Cell(f"{ratio.value:.2f}"))
                table.append(cells)
            if rows:
                means = [self.mean_to_best(rows, malloc, cost) for malloc in self.mallocs]
                table.append([Cell(f"geometric mean, {name}", "strong"), Cell(""), Cell("")] + [
                    ratio_cell(mean._replace(low=None) if mean and i else mean, "strong") for i, mean in enumerate(means)])
        return f"{title}, each over the best peer's in the row (the virtual best)", table

    def mean_over(self, base, rows, malloc, cost):
        return self.figures.mean([(row, base) for row in rows], malloc, cost)

    def mean_to_best(self, rows, malloc, cost):
        return self.figures.mean([(row, self.best(row, cost)) for row in rows], malloc, cost)

    def of_their_own(self, row):
        """What a row's program measured itself, a malloc in a column; None when it measured nothing."""
        found = {malloc: self.figures.own_figures(row.name, malloc) for malloc in self.mallocs
                 if self.figures.works(row.name, malloc)}
        names = list(dict.fromkeys(name for own in found.values() for name in own))
        if not names:
            return None
        table = [["", *self.mallocs]]
        for name in names:
            table.append([Cell(name.replace("_", " "))] + [
                Cell(f"{found[malloc][name]:.4g}" if found[malloc][name] < 1000 else f"{found[malloc][name]:.0f}")
                if malloc in found else FAILED for malloc in self.mallocs])
        return f"{row.name}: {row.about}", table

    def prices(self, kind):
        """Each level's geometric means over allot, and those of every pair, with the part of its price in CPU time for which a
        level is to be had."""
        rows, allot = self.of_kind(kind), self.mallocs[0]
        table = [["", "over", *(title for _, title, _, _ in COSTS), *(f"{level}'s part" for level in self.levels)]]
        for malloc, base in self.priced:
            means = [self.mean_over(base, rows, malloc, cost) for cost, *_ in COSTS]
            parts = [part(self.mean_over(allot, rows, level, COSTS[0][0]), means[0]) if (malloc, base) in self.pairs else ""
                     for level in self.levels]
            table.append([Cell(malloc), Cell(base), *(ratio_cell(mean, digits=3) for mean in means), *map(Cell, parts)])
        return f"What safety costs, geometric means, {KINDS[kind]}", table

    def tables(self):
        if any(row.kind in KINDS for row in self.rows):
            for cost in COSTS:
                yield self.against_allot(*cost)
                yield self.against_best(*cost)
        for row in self.rows:
            own = self.of_their_own(row)
            if own:
                yield own
        if self.priced:
            yield from (self.prices(kind) for kind in KINDS if self.of_kind(kind))

    def standings(self):
        """allot beside the virtual best and beside the best single peer, a line for each kind and cost."""
        for kind, name in KINDS.items():
            rows = self.of_kind(kind)
            for cost, title, _, _ in COSTS:
                mine = self.mean_to_best(rows, "allot", cost)
                means = {peer: self.mean_over("allot", rows, peer, cost) for peer in self.peers}
                means = {peer: mean.value for peer, mean in means.items() if mean}
                if mine and means:
                    best = min(means, key=means.get)
                    yield f"{name}, {title}: {mine.value:.3f} of the virtual best, {1 / means[best]:.3f} of {best}'s, the best peer"

    def print(self, markdown):
        render = as_markdown if markdown else as_text
        for title, table in self.tables():
            print(render(title, table))
        lines = [f"- {line}" if markdown else f"  {line}" for line in self.standings()]
        if lines:
            print("\n".join(["allot, by geometric means:", "", *lines, ""]))

    def json(self, facts):
        """Everything, `facts` about the whole included."""
        figures, summary = self.figures, {}
        for row in self.rows:
            summary[row.name] = {cost: {
                malloc: {"median": figures.median(row.name, malloc, cost),
                         "over_allot": figures.ratio(row.name, malloc, "allot", cost) if figures.works(row.name, "allot") else None,
                         "over_best": figures.ratio(row.name, malloc, self.best(row.name, cost), cost).value
                         if self.best(row.name, cost) else None}
                for malloc in self.mallocs if figures.works(row.name, malloc)} for cost, *_ in COSTS}
        means = {kind: {cost: {malloc: {"over_allot": self.mean_over("allot", self.of_kind(kind), malloc, cost),
                                        "over_best": self.mean_to_best(self.of_kind(kind), malloc, cost)}
                               for malloc in self.mallocs} for cost, *_ in COSTS} for kind in KINDS if self.of_kind(kind)}
        prices = {kind: [{"malloc": malloc, "over": base,
                          **{cost: self.mean_over(base, self.of_kind(kind), malloc, cost) for cost, *_ in COSTS}}
                         for malloc, base in self.priced] for kind in means}
        runs = [{"row": row, "malloc": malloc, "cpu": run.cpu, "wall": run.wall, "peak": run.peak, "at_exit": run.at_exit,
                 "figures": run.figures, "status": run.outcome[0], "sha256": run.outcome[1]}
                for (row, malloc), runs in figures.runs.items() for run in runs]
        return json.dumps({**facts, "rows": {row.name: {"kind": row.kind, "about": row.about} for row in self.rows},
                           "summary": summary, "means": means, "prices": prices, "runs": runs,
                           "failed": {f"{row} on {malloc}": why for (row, malloc), why in figures.faults.items()}}, indent=1)


FAILED = Cell("failed", "bad")
COLOURS = {"good": 32, "bad": 31, "strong": 1}


def as_text(title, table):
    head, *body = table
    widths = [max(len(cell.text) for cell in column) for column in zip([Cell(text) for text in head], *body)]

    def line(cells):
        return "  ".join(colour(COLOURS[cell.mark], text) if cell.mark else text for cell, text in (
            (cell, cell.text.ljust(width) if at == 0 else cell.text.rjust(width)) for at, (cell, width) in enumerate(zip(cells, widths))))

    return "\n".join([colour(1, title), line([Cell(text, "strong") for text in head]), *map(line, body), ""])


def as_markdown(title, table):
    head, *body = table
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines.extend("| " + " | ".join(f"**{cell.text}**" if cell.text and cell.mark in ("bad", "strong") else cell.text
                                   for cell in row) + " |" for row in body)
    return "\n".join([*lines, ""])
