"""peers.py - the mallocs that `make bench` compares: allot's drop-in, the system's, what the distribution has installed, and
what the environment names.

PEERS=name=path.so,... adds mallocs of the caller's own; what one needs in its environment follows its path:
PEERS=google=/opt/libtcmalloc.so+GLIBC_TUNABLES=glibc.pthread.rseq=0

A level of allot's is the same library with other options.
"""
import pathlib

from measuring import Malloc

PACKAGED = {"mimalloc": "libmimalloc.so.[0-9]", "jemalloc": "libjemalloc.so.[0-9]",
            "tcmalloc": "libtcmalloc_minimal.so.[0-9]", "tbbmalloc": "libtbbmalloc_proxy.so.[0-9]"}


def libc():
    """The C library. It is preloaded as well: a program may bring a malloc of its own, as Debian's redis does."""
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        if "/libc.so." in line or "/libc-" in line:
            return pathlib.Path(line.split()[-1])
    raise ValueError("this python3 has no libc to be found")


def named(text):
    """The mallocs of a PEERS variable. ValueError says what is wrong with it."""
    for entry in filter(None, text.split(",")):
        name, _, rest = entry.partition("=")
        path, *variables = rest.split("+")
        if not name or not pathlib.Path(path).is_file():
            raise ValueError(f"PEERS: {entry}: name=path.so is wanted, with a library at that path")
        yield Malloc(name, path, dict(variable.partition("=")[::2] for variable in variables))


def levels(allot, text):
    """allot at each level of a text like `guard,harden=1,harden=2+guard=4M`; an option without a value is on."""
    for level in filter(None, dict.fromkeys(text.split(","))):
        options = ",".join(option if "=" in option else option + "=on" for option in level.split("+"))
        yield Malloc(f"{allot.name} {level}", allot.path, {"ALLOT_OPTIONS": options})


def all_of(build, peers):
    """Every malloc there is, allot first, the system second. `peers` is the variable's text."""
    system = libc()
    found = [Malloc("allot", build / "lib/liballot-malloc.so"), Malloc("system", system)]
    for name, pattern in PACKAGED.items():
        libraries = sorted(system.parent.glob(pattern))
        if libraries:
            found.append(Malloc(name, libraries[-1]))
    found.extend(named(peers))
    names = [malloc.name for malloc in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"PEERS: there is already a malloc called {', '.join(sorted(twice))}")
    return found
