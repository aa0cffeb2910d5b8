"""CPython's own test suite, every object from malloc (PYTHONMALLOC=malloc), test by test."""

import xml.etree.ElementTree as xml

from table import case

PYTHON = "/usr/bin/python3.11"
SUITE = "/usr/lib/python3.11/test/test_dict.py"
MALLOC = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}

QUICK = "dict list set json re ctypes zlib gc deque struct array bytes memoryview mmap marshal weakref tarfile sqlite3"
SOAK = "threading"


def outcomes(report):
    """'test: outcome' for each test of a JUnit report, sorted."""
    lines = []
    for test in xml.parse(report).iter("testcase"):
        kinds = [child.tag for child in test if child.tag in ("error", "failure", "skipped")]
        lines.append(f"{test.get('name')}: {' '.join(kinds) or 'ok'}")
    return sorted(lines)


def enter(module, quick):
    def body(t):
        t.run(PYTHON, "-m", "test", "--junit-xml", "report.xml", f"test_{module}", env=MALLOC, want=None, show="none")
        seen = outcomes(t.dir / "report.xml")
        if not any(line.endswith(": ok") for line in seen):
            raise AssertionError("not one test passed")
        t.note("outcome of each test", "\n".join(seen))

    body.__doc__ = f"CPython's test_{module}"
    name = f"python-{module.replace('_', '-')}"
    case(name, files=(PYTHON, SUITE), quick=quick, timeout=1800)(body)


for word in QUICK.split():
    enter(word, True)
for word in SOAK.split():
    enter(word, False)
