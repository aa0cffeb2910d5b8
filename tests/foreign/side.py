"""One side of a case: the same work done on one malloc, and everything it showed.

A case's body is called twice, with a Side for the system's malloc and one for the library under test. Both work in a
directory of the same path, with the same small environment, and note what they see as steps; run.py compares the steps.
The sides differ in LD_PRELOAD and in nothing else.
"""

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

SEARCH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games"  # Debian's own programs, not a user's
LARGEST_FILE = 8 << 30  # a program that writes without end is to fail, not to fill the disk
COMPLAINTS = (b"ERROR: ld.so:", b"cannot be preloaded", b"cannot allocate memory in static TLS")


RUNNING: set[subprocess.Popen] = set()  # what is to be ended when we are told to end
ENDING = threading.Event()


class Stopped(Exception):
    """A command did not end as the case says it must: the side goes no further."""


@dataclass
class Step:
    what: str
    seen: bytes


@dataclass
class Result:
    status: int | str
    out: bytes
    err: bytes

    @property
    def text(self):
        return self.out.decode("utf-8", "replace")


def which(program):
    return shutil.which(program, path=SEARCH)


def preflight(library):
    """Says why nothing can be tested with this library, or None: a shell's grandchild must find it in its maps."""
    probe = f"sh -c 'grep -c -F {library} /proc/self/maps; true'"
    for name, lib in (("system", None), ("preload", library)):
        env = {"PATH": SEARCH} | ({"LD_PRELOAD": str(lib)} if lib else {})
        seen = subprocess.run(["sh", "-c", probe], env=env, capture_output=True, text=True)
        if seen.returncode or seen.stderr or (seen.stdout.strip() != "0") != bool(lib):
            return f"{name}: grep of /proc/self/maps says {seen.stdout.strip()!r} {seen.stderr.strip()[:300]}"
    return None


def words_of(argv):
    """A command as one short line."""
    line = " ".join(" ".join(map(str, argv)).split())
    return line if len(line) < 120 else line[:116] + " ..."


def status_words(code):
    """0, 3, or the name of the signal that ended it."""
    if not isinstance(code, int) or code >= 0:
        return str(code)
    known = {s.value: s.name for s in signal.Signals}
    return f"killed by {known.get(-code, f'signal {-code}')}"


class Side:
    def __init__(self, name, library, case, directory, made, ports):
        self.name = name
        self.library = library  # None: the system's malloc
        self.case = case
        self.dir = directory
        self.input = made  # what the case's prepare() left; not to be written to
        self.ports = ports
        self.steps: list[Step] = []
        self.programs: set[str] = set()  # every program started from here, for witness.py
        self.complaint = None  # a line of the loader's about the preload
        self.failed = None  # why the side stopped early
        self._processes = []
        (self.dir / "tmp").mkdir(parents=True)

    # -- what a case's body calls -----------------------------------------------------------------------------------

    def run(self, *argv, stdin=b"", env=None, want=0, cwd=None, timeout=None, show="both"):
        """Runs a command to its end and notes its status and output.

        `stdin` is bytes, text or a Path; `want` the status it must have (None: any, but the same on both sides); `show`
        which output is compared: both, out, err or none.
        """
        process = self._spawn(argv, stdin, subprocess.PIPE, subprocess.PIPE, env, cwd)
        try:
            out, err = process.communicate(timeout=timeout or self.case.timeout)
            status = process.returncode
        except subprocess.TimeoutExpired:
            kill_group(process)
            out, err = process.communicate()
            status = f"hung: no end after {timeout or self.case.timeout} s"
        result = Result(status, out, err)
        self._note_result(argv, result, show)
        if status != want and want is not None:
            last = (err or out).decode("utf-8", "replace").strip().splitlines()[-1:]
            raise Stopped(f"{words_of(argv)}: {status_words(status)}, not {want} {' '.join(last)[:300]}")
        if isinstance(status, str):
            raise Stopped(f"{words_of(argv)}: {status}")
        return result

    def shell(self, script, **options):
        """Runs a bash script given as text."""
        return self.run("bash", "-ec", script, **options)

    def start(self, *argv, env=None, show="none", port=None):
        """Starts a server, waits until it listens on `port`, and returns it; stop() ends it and notes its status."""
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        service = Service(self, argv, self._spawn(argv, b"", out, err, env, None), out, err, show)
        if port:
            service.await_port(port)
        return service

    def note(self, what, seen):
        """Notes something seen: it is compared like output."""
        self.steps.append(Step(what, seen if isinstance(seen, bytes) else str(seen).encode()))

    def digest(self, *paths):
        """Notes the SHA-256 of files, or of every file under a directory."""
        for path in paths:
            root = self.dir / path
            files = (
                sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()) if root.is_dir() else [root]
            )
            if not files:
                raise Stopped(f"nothing to compare under {path}")
            lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(self.dir)}" for p in files]
            self.note(f"digest of {path}", "\n".join(lines))

    def write(self, path, text):
        """Writes a file of the side's directory and returns its path."""
        target = self.dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        return target

    def also(self, *programs):
        """Names programs that the commands start themselves (cc1 of gcc): they too must have the library."""
        self.programs.update(str(p) for p in programs)

    def port(self, index=0):
        """A TCP port on loopback that was free when the case began; the same on both sides."""
        return self.ports[index]

    # -- the rest is run.py's ---------------------------------------------------------------------------------------

    def environment(self, extra=None):
        env = {
            "PATH": SEARCH,
            "HOME": str(self.dir),
            "TMPDIR": str(self.dir / "tmp"),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "USER": os.environ.get("USER", "root"),
            "SOURCE_DATE_EPOCH": "1000000000",
        }
        if self.library:
            env["LD_PRELOAD"] = str(self.library)
        env.update(extra or {})
        return env

    def play(self):
        """Calls the case's body; what goes wrong is noted, never raised."""
        try:
            self.case.body(self)
        except Stopped as stop:
            self.failed = str(stop)
        except Exception as error:  # a body that trips over missing output has found a difference, not a bug of ours
            self.failed = f"{type(error).__name__}: {error}"
        finally:
            for process in self._processes:
                kill_group(process)
                process.wait()
                RUNNING.discard(process)

    def compared(self):
        """The steps as text after the case's normalisations."""
        whole = []
        for step in self.steps:
            seen = step.seen
            for pattern, replacement in self.case.normal:
                seen = re.sub(pattern, replacement, seen)
            whole.append((step.what, seen))
        if self.failed:
            whole.append(("stopped", self.failed.encode()))
        return whole

    def _spawn(self, argv, stdin, out, err, env, cwd):
        argv = [str(a) for a in argv]
        program = argv[0] if "/" in argv[0] else which(argv[0])
        if program is None:
            raise Stopped(f"no program {argv[0]}")
        if ENDING.is_set():
            raise Stopped("interrupted")
        self.programs.add(str(self.dir / program))
        if isinstance(stdin, Path):
            feed = stdin.open("rb")
        else:
            feed = tempfile.TemporaryFile()
            feed.write(stdin.encode() if isinstance(stdin, str) else stdin)
            feed.seek(0)
        with feed:
            argv[0] = program
            env, cwd = self.environment(env), cwd or self.dir
            process = subprocess.Popen(
                argv, stdin=feed, stdout=out, stderr=err, env=env, cwd=cwd, start_new_session=True
            )
        self._processes.append(process)
        RUNNING.add(process)
        return process

    def _note_result(self, argv, result, show):
        label = words_of(argv)
        self.note(f"status of {label}", status_words(result.status))
        if show in ("both", "out"):
            self.note(f"stdout of {label}", result.out)
        if show in ("both", "err"):
            self.note(f"stderr of {label}", result.err)
        for line in (result.err + b"\n" + result.out).splitlines():
            if self.complaint is None and any(words in line for words in COMPLAINTS):
                self.complaint = line.decode("utf-8", "replace")[:300]


class Service:
    """A server started by a case. Its output goes to files, so that it never blocks."""

    def __init__(self, side, argv, process, out, err, show):
        self.side, self.argv, self.process, self.show = side, argv, process, show
        self.out, self.err = out, err

    def await_port(self, port):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Stopped(f"{self.argv[0]} did not listen on port {port}: {self._read(self.err)[-300:]}")

    def stop(self, number=signal.SIGTERM, want=0):
        """Sends the signal (0: none, it was told otherwise) and notes how it ended."""
        if number:
            self.process.send_signal(number)
        try:
            status = self.process.wait(timeout=self.side.case.timeout)
        except subprocess.TimeoutExpired:
            status = "hung: did not stop"
        result = Result(status, self._read(self.out), self._read(self.err))
        self.side._note_result(self.argv, result, self.show)
        if status != want:
            raise Stopped(f"{self.argv[0]}: {status_words(status)}, not {want}: {result.err[-300:]}")
        return result

    @staticmethod
    def _read(stream):
        stream.flush()
        stream.seek(0)
        return stream.read()


def end_all(*_):
    """A signal handler: our programs lead sessions of their own, so the terminal's interrupt never reaches them."""
    ENDING.set()
    for process in list(RUNNING):
        kill_group(process)
    raise KeyboardInterrupt


def kill_group(process):
    """Ends a process and what it started, if it still runs: the number of one that is gone may be another's."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def end_of(argv, env, cwd, limit, out, err=subprocess.STDOUT):
    """The status of a command, or None where it did not end in time; what it left running in its session is ended."""
    process = subprocess.Popen(
        ["prlimit", f"--fsize={LARGEST_FILE}", *map(str, argv)],
        env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
    )
    RUNNING.add(process)
    try:
        return process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end_session(process.pid)
        process.wait()
        RUNNING.discard(process)


def end_session(leader):
    """Ends what still runs in the session of a process that we started, in whichever group. The number of one that ended
    is not another's while its session has a process left; without one nothing is found."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, session = int(stat.parent.name), int(stat.read_bytes().rpartition(b")")[2].split()[3])
            if session == leader:
                os.kill(pid, signal.SIGKILL)
        except OSError:  # it has just ended
            continue
