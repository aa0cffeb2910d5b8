"""rows.py - what `make bench` measures: the rows in the order of tables, their programs and their parameters.

Each row says in a line what it stands for. Of its own programs, in rows/, the first argument is the amount of work, which
--quick divides; the others make the row what it is and stay. All are chosen for about a second on the system's malloc.

Kinds: `bound`, where nearly all of the time is the malloc's; `real`, programs that do something; `latency` and `footprint`,
whose figures are those that they print themselves. Geometric means are taken within a kind. Those of `footprint`, in
footprint/, wait for what comes back in idle time, and run only when they are named.
"""
import math
import os
import re
import socket
import struct
import subprocess
import time

import programs
from programs import Program, find

THREADS = 2  # of the rows that name no other number
LESS = 20  # what --quick divides the work by


class Row:
    def __init__(self, name, kind, about, prepare, alone=True):
        self.name, self.kind, self.about = name, kind, about
        self.prepare = prepare  # prepare(folder, build, less) -> Program
        self.alone = alone  # one thread and no partner: its wall time is its CPU time on an idle machine


def own(name, kind, about, program, count, *parameters, alone=True, folder="rows", longest=120):
    def prepare(_, build, less):
        words = [str(build / "bin" / folder / program), str(max(1, count // less)), *map(str, parameters)]
        return Program(name, words, longest=longest)

    return Row(name, kind, about, prepare, alone)


def footprint(name, about, program, count, *parameters, longest=120):
    return own(name, "footprint", about, program, count, *parameters, folder="footprint", longest=longest)


def bound(name, about, program, count, *parameters, alone=True):
    return own(name, "bound", about, program, count, *parameters, alone=alone)


def crew(name, about, program, count, *parameters):
    return bound(name, about, program, count, *parameters, alone=False)


def common(function):
    """A program of `make try`; its work stays what it is."""
    return Row(function.__name__, "real", "as in make try", lambda folder, build, less: function(folder),
               alone=function is not programs.redis)


def given(name, command):
    """A command of the caller's own, whose output may be different from run to run."""
    words = [find(command[0]), *command[1:]]
    return Row(name, "given", "from the command line", lambda folder, build, less: Program(name, words, repeatable=False),
               alone=False)


def redisbench(folder, build, less):
    """redis-server while redis-benchmark, on the system's malloc, asks; what counts is the server."""
    server, asker = find("redis-server"), find("redis-benchmark")

    def converse(folder, stdout):
        with programs.connected(folder / "socket") as line:
            for test, count in [("set", 200_000), ("get", 100_000), ("lpush", 200_000), ("hset", 200_000), ("lrange_100", 10_000)]:
                told = subprocess.run([asker, "-s", folder / "socket", "-q", "-c", "20", "-P", "16", "-d", "200", "-r", "50000",
                                       "-n", str(count // less), "-t", test], capture_output=True, timeout=60)
                if told.returncode != 0:
                    raise OSError(f"redis-benchmark -t {test}: {told.stderr.decode(errors='replace')}")
            line.sendall(programs.request("SHUTDOWN", "NOSAVE"))

    return Program("redisbench", [server, *programs.REDIS_OPTIONS], converse=converse)


def redis_lru(folder, build, less):
    """redis-server as a cache at its limit: 700 000 values of 240 bytes, then 170 000 of 492 that push them out, oldest first.
    Which keys stay is up to the server's own dice, to what malloc_usable_size says, by which it counts, and to its clock, which
    tells keys apart by the second: so the keys come at a pace that every machine keeps, from a full second on. Its memory is
    seen from outside, and whole: what the process held when it began is in it."""
    phases, batch, pace, end = [("small", 700_000, 240), ("big", 170_000, 492)], 1000, 50_000, b"end of batch\r\n"

    def converse(folder, stdout):
        with programs.connected(folder / "socket") as line:
            due = begin = math.ceil(time.time())
            for name, count, size in phases:
                for at in range(0, count // less, batch):
                    time.sleep(max(0, due - time.time()))
                    due += batch / pace
                    line.sendall(b"".join(programs.request("SET", f"{name}:{key}", "v" * size) for key in range(at, at + batch))
                                 + programs.request("ECHO", "end of batch"))
                    stdout.write(programs.heard(line, end))
            seconds, full = time.time() - begin, held_by(line)
            time.sleep(10 // less)
            idle = held_by(line)
            line.sendall(programs.request("INFO", "memory") + programs.request("ECHO", "end of batch"))
            counted = re.search(rb"\nused_memory:(\d+)", programs.heard(line, end))
            line.sendall(programs.request("SHUTDOWN", "NOSAVE"))
        return {"PSS,_MiB": full["Pss"], "RSS,_MiB": full["Rss"], "PSS_10_s_later,_MiB": idle["Pss"],
                "used_memory,_by_malloc_usable_size,_MiB": int(counted[1]) / 2**20, "loaded_in,_s": seconds}

    return Program("redis-lru", [find("redis-server"), *programs.REDIS_OPTIONS, "--maxmemory", "100mb", "--maxmemory-policy",
                                 "allkeys-lru"], converse=converse)


def held_by(line):
    """What the process that listens at the other end of the line holds, in MiB, by name."""
    pid, _, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        fields = [entry.split() for entry in lines if entry.endswith(" kB\n")]
    return {name.rstrip(":"): int(kib) / 1024 for name, kib, _ in fields}


ROWS = [
    bound("churn-one", "churn at one size, a small working set", "churn", 50_000_000, 1000, 64, 64),
    bound("churn-many", "churn at many small sizes", "churn", 12_000_000, 10_000, 16, 1024),
    bound("churn-cold", "churn in a working set larger than the caches", "churn", 3_000_000, 500_000, 16, 512),
    bound("churn-big", "churn of buffers of 1 to 128 KiB", "churn", 700_000, 2000, 1024, 131_072),
    bound("lifo", "batches of 100, freed in reverse", "batches", 350_000, "lifo", 100, 16, 256),
    bound("fifo", "batches of 100, freed in order", "batches", 350_000, "fifo", 100, 16, 256),
    bound("fifo-long", "batches of 100 000, freed in order", "batches", 80, "fifo", 100_000, 16, 256),
    crew("server", "a server that hands its blocks on and replaces its threads (larson)", "server", 1_000_000, THREADS, 10, 1000,
         8, 1000),
    crew("producers", "one thread makes messages, another frees them", "producers", 180_000, 1, 16, 512),
    crew("exchange", "batches that are freed elsewhere (xmalloc)", "exchange", 7000, THREADS, 1000, 16, 512),
    crew("mixed", "mixed sizes, lifetimes and threads (mstress)", "mixed", 100_000, THREADS, 60, 4096),
    crew("mixed-big", "the same with blocks up to 64 KiB (rptest)", "mixed", 40_000, THREADS, 60, 65_536),
    crew("growing", "short-lived sets at growing sizes to 1000 bytes (sh6)", "growing", 50, THREADS, 4000, 1000),
    crew("growing-big", "the same to 16 000 bytes (sh8)", "growing", 10, THREADS, 1000, 16_000),
    bound("cold", "2 GiB of many sizes from a cold heap, freed in random order", "cold", 2048, 16, 16_384),
    bound("large", "blocks of 5 to 25 MiB, replaced at random", "large", 300, 20),
    bound("grow", "buffers that grow under realloc", "grow", 4_000_000, 64, 100_000),
    bound("aligned", "aligned blocks among others", "aligned", 5_000_000, 5000, 4096),
    bound("zeroed", "churn by calloc", "zeroed", 2_000_000, 2000, 16_384),
    crew("sharing", "threads that write blocks made side by side (cache-thrash)", "sharing", 80_000, "active", THREADS, 16),
    crew("sharing-passive", "the same with blocks handed over (cache-scratch)", "sharing", 80_000, "passive", THREADS, 16),
    crew("threads", "1, 2, 4, ... 64 threads that share nothing, the same work by each number", "threads", 5_000_000, 2000, 1024),
    own("startup", "real", "start and end of `true`, 500 times", "startup", 500, find("true")),
    own("mapstr", "real", "maps and strings in C++", "mapstr", 20),
    Row("redisbench", "real", "redis under redis-benchmark", redisbench, alone=False),
    *map(common, programs.PROGRAMS),
    own("latency", "latency", "cycles of single calls, the clock's own among them", "latency", 2_000_000),
    footprint("survivors", "a spike of 300 000 blocks of which one in 20 stays, then 10 idle seconds", "survivors", 100, 10),
    footprint("survivors-mixed", "a million blocks of many sizes, nine in ten freed, 5 idle seconds, 50 MB of them again",
              "survivors-mixed", 1_000_000, 5),
    footprint("spike", "2 GiB made and freed by one thread, then 10 idle seconds", "spike", 2048, 1, 10),
    footprint("spike-threads", "the same by four threads, which then wait", "spike", 2048, 4, 10),
    footprint("asleep", "400 000 blocks of a thread that sleeps, freed by another", "asleep", 400_000, 0, 0, 0),
    footprint("asleep-in-order", "the same, freed in the order they were made", "asleep", 400_000, 0, 0, 1),
    footprint("asleep-20th", "the same as asleep, but each 20th stays", "asleep", 400_000, 20, 0, 0),
    footprint("ended", "400 000 blocks of a thread that has ended, freed by another", "asleep", 400_000, 0, 1, 0),
    footprint("ended-20th", "the same, but each 20th stays", "asleep", 400_000, 20, 1, 0),
    footprint("phases", "at most 128 MiB live, 1 GiB of churn of one size after the other", "phases", 1024, longest=300),
    footprint("consumer", "two threads only allocate, one only frees, 370 MiB live, 10 minutes", "consumer", 600, 370, 2, longest=900),
    footprint("births", "100 000 threads born and dead, each leaving ten blocks for a while", "births", 100_000, 4, longest=300),
    footprint("sleepers", "10 000 threads that allocate 1 KiB in odd sizes and sleep", "sleepers", 10_000),
    Row("redis-lru", "footprint", "870 000 keys in a redis that may hold 100 MiB", redis_lru, alone=False),
    footprint("long-run", "an hour of a server's mixed traffic, without the waiting", "long-run", 3600, 3000, longest=900),
    footprint("skew", "256 MiB of which one odd size is 60 %", "skew", 256, 1096),
]
