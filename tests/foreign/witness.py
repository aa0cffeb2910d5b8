"""Proof that a program really runs on the preloaded library.

An equal output proves nothing when the library was never there: a static program, a setuid one, a library the loader
refuses or a program with a malloc of its own all run happily without it. So every program that a case starts is loaded
once more in the loader's tracing mode (what ldd does: everything is mapped and bound, no line of the program runs), and
the loader tells which objects it mapped and whose malloc and free each of them got.
"""

import os
import re
import struct
import subprocess
import tempfile
from pathlib import Path

SYMBOLS = ("malloc", "free", "calloc", "realloc")
BINDING = re.compile(r"binding file (\S+) \[\d+\] to (\S+) \[\d+\]: \S+ symbol `(\w+)'")
PT_INTERP = 3


def interpreter_of(program):
    """The ELF interpreter of a program, '' for a static one; for a script the program that runs it instead."""
    data = Path(program).read_bytes()[:4096]
    if data.startswith(b"#!"):
        words = data.split(b"\n", 1)[0][2:].decode().split()
        return ("script", words[0] if os.path.basename(words[0]) != "env" else words[-1])
    if not data.startswith(b"\x7fELF") or data[4] != 2:
        return ("unknown", "")
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, _, where, _, _, length = struct.unpack_from("<IIQQQQ", data, offset + i * size)
        if kind == PT_INTERP:
            return ("dynamic", data[where : where + length].rstrip(b"\0").decode())
    return ("static", "")


def objection(program, library, side_env, which):
    """None when `program` started with `side_env` maps `library` and takes its malloc from it, else why not."""
    path = program if "/" in program else which(program)
    if path is None or not os.path.exists(path):
        return None  # made by the case and gone again, or never there: the case's own status tells
    kind, loader = interpreter_of(path)
    if kind == "script":
        return objection(loader, library, side_env, which)
    if kind != "dynamic":
        return f"{path} is {kind}: it cannot be preloaded"
    with tempfile.TemporaryDirectory(prefix="allot-witness-") as directory:
        env = dict(side_env, LD_TRACE_LOADED_OBJECTS="1", LD_BIND_NOW="1", LD_WARN="1")
        env |= {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": f"{directory}/b"}
        traced = subprocess.run([loader, path], env=env, capture_output=True, timeout=60)
        log = b"".join(f.read_bytes() for f in Path(directory).iterdir()).decode("utf-8", "replace")
    if str(library) not in traced.stdout.decode("utf-8", "replace"):
        return f"{path} does not map {library}: {traced.stderr.decode('utf-8', 'replace').strip()[:200]}"
    takes = []  # (user, giver, symbol) of every binding of malloc and its family outside the library
    for line in log.splitlines():
        # binding file A [0] to B [0]: normal symbol `malloc' [GLIBC_2.2.5]
        found = BINDING.search(line)
        if found and found[3] in SYMBOLS and found[1] != str(library):
            takes.append(found.groups())
    given = {(user, symbol) for user, giver, symbol in takes if giver == str(library)}
    if not given:
        return f"{path} maps {library} but takes no malloc from it"
    for user, giver, symbol in takes:
        # A program that is not position-independent and takes free's address lends its own PLT entry to all
        # others: they are bound to the program, and the program to the library.
        if giver != str(library) and (giver, symbol) not in given:
            return f"{path}: {user} takes {symbol} from {giver}"
    return None
