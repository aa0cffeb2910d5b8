"""measuring.py - one run of one program on one malloc, and what it cost.

A run is a Program (see programs.py) started with LD_PRELOAD naming the malloc, if it is not the system's, and the
measuring preload (measure/measure.c), which comes on every side. Figures: seconds of user and system time, from the
kernel's accounting of the whole life of the process, teardown included; wall seconds; peak RSS and RSS at exit in MiB, from
the process itself. The outcome of a run is its exit status and the SHA-256 of its standard output and output files: two
runs with the same outcome did the same.
"""
import hashlib
import os
import pathlib
import signal
import subprocess
import threading
import time


class Failure(Exception):
    """A run that cannot be counted; the text says which, what and why."""


class Malloc:
    """One side of a comparison: a library to preload, or None for what the program has by itself."""

    def __init__(self, name, library=None, env=None):
        self.name = name
        self.path = str(pathlib.Path(library).resolve()) if library else None
        self.env = env or {}  # what it needs to work


class Run:
    """The figures of one run, in seconds and MiB."""

    def __init__(self, cpu, wall, peak, at_exit, outcome, malloc_from, figures):
        self.cpu, self.wall, self.peak, self.at_exit = cpu, wall, peak, at_exit
        self.outcome = outcome  # status and hash
        self.malloc_from = malloc_from  # the file that its malloc lay in
        self.figures = figures  # what it measured itself, by name


def waited(runs):
    """Whether runs that wait for nobody waited for a core: a sixth of their time or more."""
    return sum(run.wall for run in runs) > 1.2 * sum(run.cpu for run in runs)


def environment(program, malloc, measure, record):
    """A small and equal environment for every side: a variable more or less moves the stack, and so the time."""
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    env.update(program.env | malloc.env)
    env["LD_PRELOAD"] = f"{measure} {malloc.path or ''}".strip()
    env["MEASURE_RECORD"] = str(record)
    return env


def hash_of(paths):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0")
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def read_record(record, pid):
    """The line that process `pid` left, as a dictionary; None when it left none."""
    lines = record.read_text().splitlines() if record.exists() else []
    for line in lines:
        fields = dict(field.split("=", 1) for field in line.split(" ", 3))
        if int(fields["pid"]) == pid:
            return fields
    return None


def read_figures(err):
    """What a program says on stderr as `figure NAME VALUE`."""
    words = [line.split() for line in err.read_text(errors="replace").splitlines() if line.startswith("figure ")]
    return {name: float(value) for _, name, value in words}


def run(program, malloc, measure, folder):
    """Runs `program`, whose input lies prepared in `folder`, and returns its Run."""
    who = f"{program.name} on {malloc.name}"
    record, out, err = folder / "record", folder / "stdout", folder / "stderr"
    for path in [record, *(folder / name for name in program.outputs)]:
        path.unlink(missing_ok=True)

    said, told = "", {}
    with open(folder / program.stdin, "rb") as stdin, open(out, "wb") as stdout, open(err, "wb") as stderr:
        began = time.monotonic()
        process = subprocess.Popen(program.command, cwd=folder, stdin=stdin, stdout=stdout, stderr=stderr,
                                   env=environment(program, malloc, measure, record))
        patience = threading.Timer(program.longest, os.kill, (process.pid, signal.SIGKILL))
        patience.start()
        try:
            if program.converse:
                told = program.converse(folder, stdout) or {}
        except OSError as why:
            said = f": {why}"
            os.kill(process.pid, signal.SIGKILL)
        finally:
            _, wait_status, usage = os.wait4(process.pid, 0)
            patience.cancel()
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(wait_status)

    fields = read_record(record, process.pid)
    if fields is None:
        lines = err.read_text(errors="replace").strip().splitlines()
        raise Failure(f"{who}: status {process.returncode}{said}; its last words: {lines[-1] if lines else 'none'}")
    if malloc.path and os.path.realpath(fields["malloc"]) != malloc.path:
        raise Failure(f"{who}: its malloc came from {fields['malloc']}")

    if not program.repeatable:
        out.unlink()
        out.touch()
    present = [folder / path for path in program.outputs if (folder / path).exists()]
    return Run(cpu=usage.ru_utime + usage.ru_stime, wall=wall, peak=int(fields["peak_kib"]) / 1024,
               at_exit=int(fields["exit_kib"]) / 1024, outcome=(process.returncode, hash_of([out, *present])),
               malloc_from=fields["malloc"], figures=read_figures(err) | told)
