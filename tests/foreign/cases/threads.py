"""Threads: the repository's own C++ program of them, and Python's process pools."""

from pathlib import Path

from table import case

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


def built(t, compiler, scale, *flags):
    t.run(compiler, "-std=c++17", "-O2", "-pthread", *flags, PROGRAMS / "threads.cpp", "-o", "threads")
    t.run("./threads", scale)


@case("threads", programs="g++", quick=True)
def _(t):
    """a threaded C++ program: cross-thread frees, thread churn, futures, aligned new, growing vectors"""
    built(t, "g++", 4)


@case("threads-long", programs="g++ clang++", timeout=900)
def _(t):
    """the same, a hundred times the work, and once more linked statically against libstdc++"""
    built(t, "g++", 400)
    built(t, "clang++", 100, "-static-libstdc++", "-static-libgcc")


def pools(t, tasks):
    t.write(
        "pools.py",
        """
import concurrent.futures, multiprocessing, os, sys, threading

def work(n):
    return sum(len(str(i) * (i % 50)) for i in range(n % 3000)), [n] * (n % 100)

def main(tasks):
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            done = pool.map(work, range(tasks), chunksize=20)
            print(method, sum(a for a, _ in done), sum(len(b) for _, b in done))
    with concurrent.futures.ThreadPoolExecutor(8) as threads:  # forks while threads allocate
        busy = [threads.submit(lambda: [work(2999)[0] for _ in range(30)]) for _ in range(8)]
        statuses = []
        for i in range(tasks // 5):
            pid = os.fork()
            if pid == 0:
                kept = [bytes(k) for k in range(2000)]
                os._exit(len(kept) % 97)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        print(set(statuses), sum(sum(f.result()) for f in busy))

if __name__ == "__main__":
    main(int(sys.argv[1]))
""",
    )
    t.run("/usr/bin/python3", "pools.py", tasks, env={"PYTHONMALLOC": "malloc", "PYTHONWARNINGS": "ignore"})


POOLS = ["/usr/bin/python3", "/dev/shm/"]


@case("python-pools", files=POOLS, quick=True)
def _(t):
    """Python's process pools by fork, spawn and forkserver, and forks while threads allocate"""
    pools(t, 300)


@case("python-pools-long", files=POOLS, timeout=900)
def _(t):
    """the same, twenty times as much"""
    pools(t, 6000)
