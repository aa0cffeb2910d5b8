"""programs.py - real programs, and work for them that this file makes itself.

Each function finds a program on this machine, prepares its work in the folder that it is given, and returns a Program; it
raises Absent, which says why, where it cannot. The work is the same on every call: a second of each program's own trade on
a common machine. PROGRAMS lists them in the order of tables.

A program is the one process that does the work: the compiler proper, not the driver that starts it.
"""
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import time

WORK = pathlib.Path(__file__).resolve().parent / "work"


class Absent(Exception):
    """The program is not to be had here; the text says why."""


class Program:
    def __init__(self, name, command, env=None, stdin=os.devnull, outputs=(), converse=None, repeatable=True,
                 longest=120):
        self.name = name
        self.command = command  # with an absolute path: no shell, no wrapper
        self.env = env or {}  # what makes it repeatable, and send its allocations to malloc
        self.stdin = stdin  # a file of its folder
        self.outputs = outputs  # files of its folder that belong to its output, beside stdout
        # converse(folder, stdout): what somebody says to it while it runs. It may raise OSError, and return figures by name.
        self.converse = converse
        self.repeatable = repeatable  # whether it prints the same on every run
        self.longest = longest  # seconds after which it is taken to hang


def find(*commands):
    for command in commands:
        path = shutil.which(command)
        if path:
            return path
    raise Absent(f"{commands[0]} is not installed")


def compiler_proper(driver, name):
    """The path of cc1 or cc1plus, which the gcc driver starts."""
    path = subprocess.run([find(driver), f"-print-prog-name={name}"], capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(path):
        raise Absent(f"{driver} does not come with {name}")
    return path


def connected(path):
    """A line to the server that is just starting and will listen on the socket at `path`."""
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(60)
    for patience in range(1000, -1, -1):
        try:
            line.connect(str(path))
            break
        except OSError:
            if patience == 0:
                line.close()
                raise
            time.sleep(0.01)
    return line


# A server on the socket in its folder, and nothing of it on disk.
REDIS_OPTIONS = ["--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "no", "--logfile", os.devnull]


def request(*words):
    """A command to redis, as it goes over the line."""
    return (f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)).encode()


def heard(line, end):
    """What the server on the line says, up to and with `end`, which must be the last that it was asked for."""
    answer = b""
    while not answer.endswith(end):
        part = line.recv(1 << 16)
        if not part:
            raise ConnectionError("the server hung up")
        answer += part
    return answer


def python3(folder):
    # Without PYTHONMALLOC, Python's own allocator would take most blocks.
    env = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
    return Program("python3", [sys.executable, "-S", str(WORK / "work.py")], env)


def sqlite3(folder):
    (folder / "work.sql").write_text("""\
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, city TEXT, age INT);
CREATE TABLE purchase(person INT, item TEXT, price REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
    INSERT INTO person SELECT i, 'name' || (i * 7919 % 60000), 'city' || (i * 104729 % 500), i * 31 % 90 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 180000)
    INSERT INTO purchase SELECT i * 613 % 60000, 'item' || (i * 17 % 3000), (i * 37 % 9973) / 100.0 FROM n;
CREATE INDEX by_city ON person(city, name);
CREATE INDEX by_person ON purchase(person);
SELECT city, count(*), avg(age), length(group_concat(upper(name), ', ')) FROM person GROUP BY city ORDER BY 2, 1;
SELECT p.city, round(sum(b.price), 2) AS spent, count(DISTINCT b.item) FROM person p JOIN purchase b ON b.person = p.id
    GROUP BY p.city ORDER BY spent DESC, p.city LIMIT 50;
UPDATE person SET name = replace(name, 'name', 'n') || '-' || printf('%05d', age) WHERE age % 3 = 0;
DELETE FROM purchase WHERE price < 20;
SELECT substr(name, 1, 3), count(*), max(json_array(id, city, age)) FROM person GROUP BY 1 ORDER BY 1;
SELECT item, count(*) FROM purchase WHERE item LIKE '%7%' GROUP BY item ORDER BY 2 DESC, 1 LIMIT 40;
""")
    return Program("sqlite3", [find("sqlite3"), "-batch", "-init", os.devnull, ":memory:"], stdin="work.sql")


def cc1(folder):
    path = compiler_proper("gcc", "cc1")
    dice = random.Random(1)
    text = ["struct node { struct node *next; int key, weight; char tag[8]; };\n"]
    for i in range(330):
        text.append(f"""\
static int step{i}(struct node *list, int *table, unsigned n)
{{
    int sum = {dice.randrange(1000)};
    for (struct node *at = list; at; at = at->next)
        switch ((at->key ^ {dice.randrange(64)}) & 7) {{
        case 0: sum += table[(unsigned)at->weight % n] * {dice.randrange(2, 99)}; break;
        case 1: table[(unsigned)sum % n] = at->key - {dice.randrange(99)}; break;
        case 3: sum ^= at->tag[{dice.randrange(8)}] << {dice.randrange(1, 8)}; break;
        default: if (sum > {dice.randrange(5000)}) sum /= {dice.randrange(2, 9)}; else sum -= at->weight;
        }}
    return sum{f" + step{dice.randrange(i)}(list, table, n / 2 + 1)" if i else ""};
}}
""")
    text.append("int work(struct node *list, int *table, unsigned n)\n{\n    int sum = 0;\n")
    text.extend(f"    sum += step{i}(list, table, n);\n" for i in range(0, 330, 3))
    text.append("    return sum;\n}\n")
    (folder / "work.c").write_text("".join(text))
    return Program("cc1", [path, "-quiet", "-O2", "work.c", "-o", "work.s"], outputs=["work.s"])


def cc1plus(folder):
    path = compiler_proper("g++", "cc1plus")
    shapes = "".join(f"""\
struct shape{i} {{ std::string name; std::vector<double> sides; bool operator<(const shape{i} &o) const {{ return name < o.name; }} }};
double area{i}(std::map<std::string, std::shared_ptr<shape{i}>> &all, std::set<shape{i}> &kept)
{{
    double sum = 0;
    for (auto &[name, shape] : all) {{
        std::sort(shape->sides.begin(), shape->sides.end(), [](double a, double b) {{ return a * {i + 1} > b; }});
        for (double side : shape->sides) sum += side;
        kept.insert(*shape);
    }}
    return sum;
}}
""" for i in range(10))
    source = "".join(f"#include <{name}>\n" for name in "algorithm map memory set string vector".split()) + shapes
    done = subprocess.run([find("g++"), "-E", "-P", "-x", "c++", "-", "-o", folder / "work.ii"], input=source, text=True)
    if done.returncode != 0:
        raise Absent("g++ finds no C++ library")
    return Program("cc1plus", [path, "-quiet", "-fpreprocessed", "-O1", "work.ii", "-o", "work.s"], outputs=["work.s"])


def perl(folder):
    return Program("perl", [find("perl"), str(WORK / "work.pl")], {"PERL_HASH_SEED": "0"})


def lua(folder):
    return Program("lua", [find("lua5.4", "lua5.3", "lua"), str(WORK / "work.lua")])


def node(folder):
    # One thread that compiles, sweeps and marks: how much the others help is a matter of chance.
    return Program("node", [find("node", "nodejs"), "--single-threaded", str(WORK / "work.js")])


def git(folder):
    path = find("git")
    dice = random.Random(2)
    files = {f"src/file{i}.txt": [f"line {dice.randrange(10**9)}\n" for _ in range(200)] for i in range(30)}
    stream = []
    for i in range(2200):
        message = f"Change {i}\n\n" + "why it was needed\n" * dice.randrange(1, 9)
        stream.append(f"commit refs/heads/main\ncommitter A <a@example.org> {1700000000 + i * 60} +0000\n"
                      f"data {len(message)}\n{message}\n")
        for name in files if i == 0 else dice.sample(sorted(files), 4):
            at = dice.randrange(180)
            files[name][at:at + dice.randrange(9)] = [f"line {dice.randrange(10**9)}\n" for _ in range(dice.randrange(9))]
            text = "".join(files[name])
            stream.append(f"M 100644 inline {name}\ndata {len(text)}\n{text}\n")
    repository = folder / "work.git"
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent"}
    for arguments, text in [("init -q --bare .", ""), ("-c core.compression=0 fast-import --quiet", "".join(stream))]:
        repository.mkdir(exist_ok=True)
        subprocess.run([path, *arguments.split()], cwd=repository, input=text, text=True, env=env, check=True)
    return Program("git", [path, "--no-pager", "--git-dir=work.git", "log", "-p", "--stat", "--word-diff", "main"],
                   {"GIT_CONFIG_NOSYSTEM": "1"})


def xz(folder):
    dice = random.Random(3)
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randrange(3, 10))) for _ in range(5000)]
    (folder / "work.txt").write_text(" ".join(dice.choices(words, k=220_000)))
    return Program("xz", [find("xz"), "-6", "-T1", "-c"], stdin="work.txt")


def redis(folder):
    """The server, told over a socket to set, change, drop and read keys of many sizes."""
    path = find("redis-server")
    dice = random.Random(4)
    commands = []
    for i in range(160_000):
        key, kind = dice.randrange(40_000), dice.randrange(10)
        if kind < 5:
            commands.append(("SET", f"key:{key}", "v" * dice.choice([8, 30, 120, 500, dice.randrange(3000)])))
        elif kind < 7:
            commands.append(("HSET", f"hash:{key % 4000}", f"field{i % 50}", f"value{i}"))
        elif kind < 8:
            commands.append(("RPUSH", f"list:{key % 3000}", f"entry{i}" * 3))
        elif kind < 9:
            commands.append(("DEL", f"key:{key}", f"hash:{key % 4000}"))
        else:
            commands.append(("GET", f"key:{key}"))

    batches = [b"".join(request(*command) for command in commands[at:at + 500] + [("ECHO", "end of batch")])
               for at in range(0, len(commands), 500)]

    def converse(folder, stdout):
        with connected(folder / "socket") as line:
            for batch in batches * 4:
                line.sendall(batch)
                stdout.write(heard(line, b"end of batch\r\n"))
            line.sendall(request("SHUTDOWN", "NOSAVE"))

    return Program("redis", [path, *REDIS_OPTIONS], converse=converse)


PROGRAMS = [python3, sqlite3, cc1, cc1plus, perl, lua, node, git, xz, redis]
