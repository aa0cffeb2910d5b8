"""The environments: what each does to the programs it runs, what it needs, what is left out in it and why."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Environment:
    """Tests of one build, each started by a shell that first does `shell`, with `preload` ahead of what the test preloads."""

    name = says = ""
    shell = ":"
    preload = None  # a library of the build
    proof = None  # (shell text, pattern): run within, it must print what matches
    changes_machine = False  # for a while, and for everybody: only when asked for
    left_out = {}  # pattern of tests' names -> why
    extra = {}  # name -> shell text of what is run besides the tests; DROP_IN and BIN are set

    def __init__(self, build):
        self.home = build  # the build that was named
        self.build = build  # the one whose tests are run

    def missing(self):
        """Why it cannot be had here, or None."""
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def make(self):
        """Makes its build, where that is one of its own."""

    def why_not(self, test):
        """Why a test is left out, or None."""
        return next((why for names, why in self.left_out.items() if re.search(names, test)), None)

    def library(self, name):
        return self.build / "lib" / f"{name}.so"

    def wrapped(self, command, variables):
        """The shell command that runs it within, and can be run by hand."""
        preload = [str(self.library(self.preload))] if self.preload else []
        preload += [variables.pop("LD_PRELOAD")] if "LD_PRELOAD" in variables else []
        variables |= {"LD_PRELOAD": ":".join(preload)} if preload else {}
        return [f"{self.shell} && exec env" + "".join(f" {name}={value}" for name, value in variables.items()) + ' "$@"', *command]


STATIC = {r"(?<!apart)(?<!together)\.static$": "nothing can be preloaded into a static program"}


class Pages(Environment):
    left_out = STATIC | {
        r"^unit\.sweep$|^unit\.family\.figures": "compares with the resident set, whose pages stay the system's",
        r"^unit\.hugetlb$": "counts the pool's pages, of which the pretence takes one more to choose where a mapping begins",
    }

    def missing(self):
        if self.build == self.home and platform.machine() not in ("x86_64", "aarch64"):
            return f"pages.c has no system calls for {platform.machine()}"
        return None


class Pages16(Pages):
    name, says = "pages-16k", "pages of 16 KiB, pretended by tests/environment/pages.c"
    preload = "environment-pages-16k"
    proof = ("getconf PAGESIZE", "16384")


class Pages64(Pages):
    name, says = "pages-64k", "pages of 64 KiB, pretended by tests/environment/pages.c"
    preload = "environment-pages-64k"
    proof = ("getconf PAGESIZE", "65536")
    left_out = Pages.left_out | {r"^unit\.adrift$": "pages inside slabs go back there, and a slab is one page"}


class Maps(Environment):
    name, says = "maps", "all but 1000 of vm.max_map_count mappings taken up by tests/environment/maps.c"
    preload = "environment-maps"
    left_out = STATIC | {
        r"^unit\.fenced": "it needs some hundreds for its fences",
        r"^fault\.limits": "the mappings taken up are more address space than its limits",
        r"^stress\.(forks|fork_locks|spawn)|^fault\.exhaust": "each of its hundreds of children is given 65 000 mappings: minutes",
    }
    MOST = 300000

    @staticmethod
    def limit():
        return int(Path("/proc/sys/vm/max_map_count").read_text())

    @property
    def proof(self):
        return ("wc -l </proc/self/maps", f"{(self.limit() - 1000) // 1000}\\d\\d\\d")

    def missing(self):
        limit = self.limit()
        return f"vm.max_map_count is {limit}: to take up so many costs the kernel too much memory" if limit > self.MOST else None


class ThpOff(Environment):
    name, says = "thp-off", "no transparent huge pages: prctl(PR_SET_THP_DISABLE)"
    preload = "environment-thp-off"
    proof = ("exec grep THP_enabled /proc/self/status", r"\b0$")
    left_out = STATIC


class AddressSpace(Environment):
    name, says = "address-space", "ulimit -v 512 MiB, threads' stacks of 1 MiB"
    shell = "ulimit -s 1024 && ulimit -v 524288"
    proof = ("ulimit -v", "524288")
    left_out = {r"^unit\.large$": "it holds more at once"}


def own_cgroup(controller):
    """The directory of the cgroup that this process is in: of version 2 where `controller` is empty."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            break
    else:
        return None
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == ("cgroup" if controller else "cgroup2") and (not controller or controller in options.split(",")):
            return Path(where + path)
    return None


class Cgroup(Environment):
    """Each test in a group of its own, below one that is below this process' own."""

    LIMIT = 256 << 20
    extra = {"phases": 'LD_PRELOAD="$DROP_IN" exec "$BIN/test-environment.phases-system"'}
    left_out = {r"^unit\.family\.allocate|^unit\.limit$": "it holds more at once"}
    controller = ""
    files = {}

    def __init__(self, build):
        super().__init__(build)
        parent = own_cgroup(self.controller)
        self.group = parent / f"allot-test-{os.getpid()}" if parent else None

    @property
    def shell(self):
        own = f"{self.group}/$$"
        limits = [f"echo {value} >{own}/{name}" for name, value in self.files.items()]
        return " && ".join([f"mkdir {own}", *limits, f"echo $$ >{own}/cgroup.procs"])

    @property
    def proof(self):
        return ("cat /proc/self/cgroup", re.escape(self.group.name))

    def missing(self):
        if not self.group:
            return "it is not mounted"
        try:
            with self:
                done = subprocess.run(["sh", "-c", self.shell], capture_output=True, text=True, check=False)
        except OSError as e:
            return f"{e.filename}: {e.strerror}"
        return done.stderr.strip() if done.returncode else None

    def __enter__(self):
        self.group.mkdir()
        return self

    def __exit__(self, *_):
        for own in self.group.iterdir():
            if own.is_dir():
                own.rmdir()
        self.group.rmdir()


class Cgroup1(Cgroup):
    name, says = "cgroup-v1", "a memory cgroup (v1) of 256 MiB for each program"
    controller = "memory"
    files = {"memory.limit_in_bytes": str(Cgroup.LIMIT)}


class Cgroup2(Cgroup):
    name, says = "cgroup-v2", "a memory cgroup (v2) for each program: memory.max 256 MiB, memory.high 240 MiB"
    files = {"memory.max": str(Cgroup.LIMIT), "memory.high": str(Cgroup.LIMIT // 16 * 15)}

    def __enter__(self):
        super().__enter__()
        for group in self.group.parent, self.group:
            control = group / "cgroup.subtree_control"
            if "memory" not in control.read_text().split():
                control.write_text("+memory")
        return self


class Setting(Environment):
    """Files below /proc/sys or /sys/kernel written, and put back at the end."""

    changes_machine = True
    files = {}

    def missing(self):
        for name in self.files:
            if not os.access(name, os.W_OK):
                return f"{name} cannot be written"
        return None

    @staticmethod
    def current(name):
        text = Path(name).read_text().strip()
        chosen = re.search(r"\[(\w+)\]", text)
        return chosen[1] if chosen else text

    def __enter__(self):
        self.before = {name: self.current(name) for name in self.files}
        for name, value in self.files.items():
            Path(name).write_text(value)
        return self

    def __exit__(self, *_):
        for name, value in self.before.items():
            Path(name).write_text(value)


class MapCount(Setting):
    name, says = "max-map-count", "vm.max_map_count=1000"
    files = {"/proc/sys/vm/max_map_count": "1000"}
    proof = ("cat /proc/sys/vm/max_map_count", "^1000$")


class Overcommit(Setting):
    name, says = "overcommit", "vm.overcommit_memory=2, vm.overcommit_ratio=50"
    files = {"/proc/sys/vm/overcommit_ratio": "50", "/proc/sys/vm/overcommit_memory": "2"}
    extra = {"refused": f'LD_PRELOAD="$DROP_IN" exec python3 {HERE}/refused'}
    proof = ("cat /proc/sys/vm/overcommit_memory", "^2$")


THP = "/sys/kernel/mm/transparent_hugepage/enabled"


class Thp(Setting):
    @property
    def proof(self):
        return (f"cat {THP}", re.escape(f"[{self.files[THP]}]"))


class ThpAlways(Thp):
    name, says = "thp-always", "transparent huge pages: always"
    files = {THP: "always"}


class ThpMadvise(Thp):
    name, says = "thp-madvise", "transparent huge pages: madvise"
    files = {THP: "madvise"}


class ThpNever(Thp):
    name, says = "thp-never", "transparent huge pages: never"
    files = {THP: "never"}


class Build(Environment):
    """A build of its own, below the one that was named."""

    compiler = ""
    options = []

    def __init__(self, build):
        super().__init__(build)
        self.build = build / "environment" / self.folder

    def make(self):
        """All programs of the tests that are not left out. (One of an unbuilt program has no command for ctest.)"""
        own = [f"-DCMAKE_C_COMPILER={self.compiler}", f"-DCMOCKA_INCLUDE={HERE}", "-DCMOCKA_LIBRARY=c", "-DALLOT_BENCH=OFF"]
        subprocess.run(["cmake", "-S", ROOT, "-B", self.build, "-DCMAKE_SYSTEM_NAME=Linux", *own, *self.options],
                       check=True, stdout=subprocess.DEVNULL)

        there = subprocess.run(["cmake", "--build", self.build, "--target", "help"], check=True, capture_output=True,
                               text=True).stdout
        targets = [self.preload] if self.preload else []
        for target in re.findall(r"\btest-\S+", there):
            name, _, mode = target.removeprefix("test-").rpartition("-")
            targets += [] if self.why_not(f"{name}.{mode}") else [target]
        subprocess.run(["cmake", "--build", self.build, "-j2", "--target", *targets], check=True, stdout=subprocess.DEVNULL)


class Musl(Build):
    name, says, folder, compiler = "musl", "musl in place of glibc, by musl-gcc", "musl", "musl-gcc"
    left_out = {
        r"^unit\.family\.figures": "musl has no mallinfo, mallopt, malloc_info, ...",
        r"\.(new_delete|teardown_cxx|deletes|replaced)\.": "there is no C++ library for Debian's musl-gcc",
        r"^stress\.plugins": "dlopen: Error relocating liballot.so: initial-exec TLS resolves to dynamic definition",
        r"^stress\.spawn\.preload$|^unit\.family\.toolkit\.preload$": "the shell that it starts is glibc's",
    }

    def missing(self):
        return None if shutil.which(self.compiler) else "musl-gcc is not installed: musl-tools"

    @property
    def options(self):
        other = self.build / "other"
        # The kernel's headers, which musl-gcc looks for nowhere; and what CMake links for glibc's g++.
        return [f"-DCMAKE_SYSTEM_PROCESSOR={platform.machine()}", f"-DCMAKE_C_FLAGS=-idirafter {other}/include",
                f"-DCMAKE_SHARED_LINKER_FLAGS=-L{other}/lib"]

    def make(self):
        def tell(option):
            return subprocess.run(["gcc", option], check=True, capture_output=True, text=True).stdout.strip()

        other = self.build / "other"
        links = {"include/linux": "/usr/include/linux", "include/asm-generic": "/usr/include/asm-generic",
                 "include/asm": f"/usr/include/{tell('-print-multiarch')}/asm",
                 "lib/libgcc_s.a": tell("-print-libgcc-file-name")}
        for name, target in links.items():
            link = other / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        super().make()


class Arm64(Build):
    name, says, folder, compiler = "arm64", "arm64, under qemu-user", "arm64", "aarch64-linux-gnu-gcc"
    prefix = "/usr/aarch64-linux-gnu"
    options = ["-DCMAKE_SYSTEM_PROCESSOR=aarch64", "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
               f"-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-L;{prefix}"]
    left_out = {
        r"^fault\.limits": "qemu-user takes no RLIMIT_AS for the program",
        r"^unit\.share$": "qemu-user ignores MADV_WIPEONFORK: a child of a bare clone takes its parent's page for its own",
        r"^unit\.record$": "qemu-user's counter moves once a microsecond: the order of two threads' events is not known; and as unit.share",
        r"^fault\.(crimes|level)|^unit\.remote$": "qemu-user adds a line of its own to that of a program that aborts",
        r"^stress\.spawn|^unit\.options$|^unit\.family\.toolkit": "programs of the machine are started within",
        r"^stress\.forks": "qemu-user breaks down in a child of threads: assertion failed: (cpu == current_cpu)",
        r"^stress\.fork_locks": "qemu-user does not come back from a fork among threads, on glibc's malloc either",
    }

    def missing(self):
        for tool, package in (("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"), ("qemu-aarch64", "qemu-user")):
            if not shutil.which(tool):
                return f"{tool} is not installed: {package}"
        return None

    def wrapped(self, command, variables):
        text, *command = super().wrapped(command, variables)
        return [text.replace(" LD_PRELOAD=", " QEMU_SET_ENV=LD_PRELOAD="), *command]


class Arm64Pages(Arm64, Pages64):
    name, says = "arm64-64k", "arm64, under qemu-user, with pages of 64 KiB pretended by tests/environment/pages.c"
    proof = None  # getconf is the machine's own
    left_out = Arm64.left_out | Pages64.left_out


ALL = (Pages16, Pages64, Maps, ThpOff, AddressSpace, Cgroup1, Cgroup2, Musl, Arm64, Arm64Pages, MapCount, Overcommit,
       ThpAlways, ThpMadvise, ThpNever)
