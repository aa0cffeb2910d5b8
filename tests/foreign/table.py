"""The table of cases.

A case is a function that takes one side (see side.py) and does the same work on it, whichever malloc is underneath.
The decorator `case` enters it into the table with what it needs and how its output is normalised; nothing is
normalised that a case does not name.
"""

from dataclasses import dataclass, field
from typing import Callable

# Normalisations that several cases share: (pattern, replacement). Each stands where a program prints something that
# differs between two runs on the same malloc.
ADDRESS = (rb"0x[0-9a-f]{5,}", b"ADDRESS")
SECONDS = (rb"\b\d+[.,]\d+ ?(?:s|ms|us|sec|secs|seconds?)\b", b"TIME")


@dataclass(frozen=True)
class Case:
    name: str
    about: str
    body: Callable
    quick: bool  # takes less than about five seconds: part of --quick, and so of ctest
    programs: tuple  # commands without which the case is skipped
    files: tuple  # paths (globs) without which the case is skipped; one that ends in / is a folder to write in
    prepare: Callable | None  # makes the input once, on the system malloc, for both sides
    normal: tuple = field(default=())  # (pattern, replacement) pairs applied to what both sides print
    timeout: int = 120  # seconds after which one command is taken for hung


TABLE: list[Case] = []


def case(name, programs=(), files=(), quick=False, prepare=None, normal=(), timeout=120):
    """Enters the decorated function; the first line of its docstring is what `--list` says of it."""

    def enter(body):
        if any(c.name == name for c in TABLE):
            raise ValueError(f"two cases are called {name}")
        words = programs.split() if isinstance(programs, str) else programs
        paths = files.split() if isinstance(files, str) else files
        about = (body.__doc__ or "").strip().splitlines()[0]
        TABLE.append(Case(name, about, body, quick, tuple(words), tuple(paths), prepare, tuple(normal), timeout))
        return body

    return enter
