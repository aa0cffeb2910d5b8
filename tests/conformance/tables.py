"""The rows of run.py for the eye: a line each as they come, and a page of tables."""

from collections import Counter


def line(row):
    times = row["seconds"]
    clock = f"{times['system']:8.2f} {times['allot']:8.2f}" if times else " " * 17
    return f"{row['verdict']:10} {row['suite']:10} {row['case']:36} {clock}  {row['reason']}".rstrip()


def counts(rows):
    seen = Counter(row["verdict"] for row in rows)
    return ", ".join(f"{n} {verdict}" for verdict, n in sorted(seen.items())) or "no case"


def markdown(rows):
    """A section a suite: what was seen, a row for each case that is not simply passed, then those that are by name."""
    text = []
    for suite in dict.fromkeys(row["suite"] for row in rows):
        own = [row for row in rows if row["suite"] == suite]
        text.append(f"### {suite}\n\n{len(own)} cases: {counts(own)}.\n")
        told = [row for row in own if row["verdict"] != "passed"]
        if told:
            text.append("| case | allot | system | verdict | reason |\n|---|---|---|---|---|")
            for row in told:
                cells = [row["case"], row["allot"], row["system"], row["verdict"], row["reason"]]
                text.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            text.append("")
        if passed := [row["case"] for row in own if row["verdict"] == "passed"]:
            text.append(f"Passed on both: {', '.join(passed)}.\n")
    return "\n".join(text)
