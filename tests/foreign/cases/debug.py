"""Debuggers, tracers and emulators over a program that runs on the library."""

from pathlib import Path

from table import ADDRESS, case

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
GDB = ("gdb", "-q", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set auto-load off")
THREADS = [(rb"Thread 0x[0-9a-f]+|Thread \d+|LWP \d+", b"THREAD"), (rb"process \d+", b"process PID"), ADDRESS]


def debugged(t, *commands):
    """gdb over the C++ program; gdb itself runs on the library too, and hands the preload on."""
    words = [w for c in commands for w in ("-ex", c)]
    return t.run(*GDB, *words, "--args", "./expressions", show="out")


@case("gdb", programs="gdb g++", quick=True, normal=THREADS)
def _(t):
    """gdb on a preloaded program: breakpoint, backtrace, variables, watch, continue to the end"""
    t.run("g++", "-std=c++17", "-g", "-O0", PROGRAMS / "sorted.cpp", "-o", "expressions")
    debugged(
        t,
        "break insert if n == 40",
        "run",
        "backtrace",
        "info locals",
        "print n * 2",
        "print *root",
        "finish",
        "watch root->count",
        "continue",
        "delete",
        "continue",
    )
    debugged(t, "break abort", "run fail", "backtrace -3", "kill")
    debugged(t, "start", "call (void *)malloc(100) != 0", "call depth(0)", "info sharedlibrary nothing", "continue")


@case(
    "gdb-threads",
    programs="gdb g++",
    normal=[*THREADS, (rb"\[(?:New|Switching to) .*\n", b""), (rb"\[THREAD .*exited\]\n", b"")],
)
def _(t):
    """gdb on the threaded program: stops in it, all threads' stacks, detach; gdb --pid; a core file"""
    t.run("g++", "-std=c++17", "-g", "-O1", "-pthread", PROGRAMS / "threads.cpp", "-o", "expressions")
    debugged(t, "break weigh", "run", "delete", "continue")
    t.run("g++", "-std=c++17", "-g", "-O0", PROGRAMS / "sorted.cpp", "-o", "sorted")
    t.run("bash", "-c", "ulimit -c unlimited; ./sorted fail; exit $?", want=134, show="out")
    t.run(
        *GDB,
        "-ex",
        "break abort",
        "-ex",
        "run",
        "-ex",
        "generate-core-file c",
        "-ex",
        "kill",
        "--args",
        "./sorted",
        "fail",
        show="none"
    )
    t.run(*GDB, "-ex", "backtrace -2", "-ex", "frame function main", "-ex", "print *root", "./sorted", "c", show="out")


@case("strace", programs="strace gcc", quick=True)
def _(t):
    """strace counting a preloaded shell's files and processes"""
    t.shell("strace -f -qq -e trace=openat -o log sh -c 'cat /etc/hostname | tr a-z A-Z'; grep -c hostname log")
    t.run("strace", "-qq", "-e", "trace=exit_group", "false", want=1)


@case("valgrind", programs="valgrind g++", normal=[(rb"==\d+==", b"==PID=="), ADDRESS])
def _(t):
    """valgrind (its own malloc in our stead): memcheck finds the same leak and bad read; callgrind and none run"""
    t.write(
        "bad.c",
        "#include <stdlib.h>\nint main(void) { char *p = malloc(40); p[39] = 1; int x = p[39]; free(p);"
        " char *q = malloc(100); q[0] = (char)x; x += p[3] == 5; q = NULL; return q != NULL; }\n",
    )
    t.run("gcc", "-g", "-O0", "-w", "bad.c", "-o", "bad")
    t.run(
        "valgrind",
        "-q",
        "--leak-check=full",
        "--soname-synonyms=somalloc=*allot*",
        "--error-exitcode=9",
        "./bad",
        want=9,
        show="out",
    )
    t.run("g++", "-std=c++17", "-O1", PROGRAMS / "expressions.cpp", "-o", "e")
    t.run("valgrind", "-q", "--tool=none", "./e")
    t.run("valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=c.out", "./e", show="out")


@case("qemu-user", programs="qemu-x86_64 g++")
def _(t):
    """programs under qemu's user emulation of the processor and the system calls"""
    t.run("g++", "-std=c++17", "-O1", "-pthread", PROGRAMS / "threads.cpp", "-o", "th")
    t.run("g++", "-std=c++17", "-O1", PROGRAMS / "expressions.cpp", "-o", "e")
    t.run("qemu-x86_64", "./e")
    t.run("qemu-x86_64", "./th", "1")
    t.run("qemu-x86_64", "/bin/ls", "-l", "/usr/include")


@case("limits", programs="g++ bash python3")
def _(t):
    """programs under ulimit -v, few open files, a small stack, and out of memory on purpose"""
    t.run("g++", "-std=c++17", "-O1", PROGRAMS / "expressions.cpp", "-o", "e")
    t.shell("ulimit -v 400000; ./e | sha1sum")
    t.shell("ulimit -s 256; ./e | sha1sum")
    t.shell("ulimit -n 8; ./e | sha1sum; ls / | wc -l")
    big = """
try:
    x = []
    while True:
        x.append(bytearray(10 ** 7))
except MemoryError:
    n = len(x)
    del x
    print("caught", n > 5)
print(sum(len(str(i)) for i in range(10 ** 6)))
"""
    t.run(
        "bash",
        "-c",
        'ulimit -v 1500000; python3 -c "$0"; echo $?',
        big,
    )
