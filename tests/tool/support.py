"""What the tests of the command share. Each is a script of its own: NAME ALLOT [unittest's arguments]."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ALLOT = pathlib.Path(sys.argv.pop(1)).resolve()
LIBRARY = ALLOT.parent.parent / "lib" / "liballot-malloc.so"
ROOT = pathlib.Path(__file__).resolve().parents[2]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
CC = os.environ.get("CC", "cc").split()

# What the tests of a signal or descriptor start from: no variable that a preload or an option could come from.
for name in ("LD_PRELOAD", "ALLOT_OPTIONS"):
    os.environ.pop(name, None)


def run(*command, **how):
    """Runs to the end; output is captured as text unless told otherwise."""
    how = {"capture_output": True, "text": True, "timeout": 60, "stdin": subprocess.DEVNULL, **how}
    return subprocess.run([str(word) for word in command], check=False, **how)


def allot_run(*arguments, **how):
    return run(ALLOT, "run", *arguments, **how)


class Test(unittest.TestCase):
    """A test with a folder that any user may enter, gone after the class."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="allot-test-"))
        cls.folder.chmod(0o755)
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def needs_another_user(self):
        """Skips where this is no root, or the build lies where nobody else may go, as in root's own folder."""
        if os.geteuid() != 0 or not shutil.which("setpriv") or run(*NOBODY, "test", "-r", LIBRARY).returncode != 0:
            self.skipTest("needs root, and a build that others may read")

    @classmethod
    def compile(cls, name, source, *flags):
        program = cls.folder / name
        subprocess.run([*CC, "-x", "c", "-", "-w", "-o", program, *flags], input=source, text=True, check=True)
        return program

    @classmethod
    def write(cls, name, content, mode=0o644):
        file = cls.folder / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)
        return file


def main():
    unittest.main(verbosity=1)
