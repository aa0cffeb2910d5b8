"""terminal.py - what a terminal shows of a measurement while it runs, and colours, where there is one."""
import os
import sys
import time


class Progress:
    """One line on the terminal that says what runs now; nothing where there is no terminal."""

    def __init__(self):
        self.began = time.monotonic()
        self.shown = sys.stderr.isatty()

    def seconds(self):
        return time.monotonic() - self.began

    def say(self, text):
        if self.shown:
            print(f"\r\033[K{self.seconds():4.0f} s  {text}", end="", file=sys.stderr, flush=True)

    def clear(self):
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def colour(code, text):
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[{code}m{text}\033[0m"
