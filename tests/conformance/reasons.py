"""Why a case fails on this library, where that is not plain from what it prints, and why some cases are not run at all.

A key is (suite, pattern of the case's name). What stands here is what the case asks that no other malloc owes it; a case
that shows a fault of the library is never entered.
"""

import fnmatch

OWN_HEAP = "has an allocator of its own set up in it, as C++: none asks for the process's malloc"
OWN_PARTS = "tests a part from which its allocator is made, without a malloc"
OWN_FREE = "brings calloc and free of its own"

APART = {
    ("glibc", "tst-compathooks-*"): "__malloc_hook and its kin, which no program can be linked to since glibc 2.34",
    ("glibc", "tst-mallocstate"): "malloc_set_state, which no program can be linked to since glibc 2.25",
    ("glibc", "tst-interpose-*"): "brings a malloc of its own, to see that glibc gives way to it",
    ("jemalloc", "smallocx"): "smallocx is not in jemalloc as it is built by default",
    ("libc-test", "functional/string"): "needs strlcpy of the libc, which glibc has since 2.38",
    ("rpmalloc", "main"): "rpmalloc's own interface: its granularity, the callbacks that map memory for it, its heaps",
    ("snmalloc", "bits"): OWN_PARTS,
    ("snmalloc", "cheri"): "asks for the bounds in CHERI's pointers; does nothing elsewhere",
    ("snmalloc", "client_meta"): OWN_HEAP,
    ("snmalloc", "corruption_detection"): "does nothing unless snmalloc's own checks are compiled in",
    ("snmalloc", "domestication"): OWN_HEAP,
    ("snmalloc", "external_pagemap"): "does nothing: its main is empty",
    ("snmalloc", "fixed_region*"): OWN_HEAP,
    ("snmalloc", "jemalloc"): "jemalloc's names, which snmalloc has too, compiled into the test",
    ("snmalloc", "memcpy"): "tests its memcpy that looks at bounds",
    ("snmalloc", "miracle_ptr"): OWN_HEAP,
    ("snmalloc", "multi_*"): OWN_FREE,
    ("snmalloc", "new"): "brings operator new of its own",
    ("snmalloc", "pagemap"): OWN_PARTS,
    ("snmalloc", "pool"): OWN_PARTS,
    ("snmalloc", "protect_fork"): OWN_PARTS,
    ("snmalloc", "redblack"): OWN_PARTS,
    ("snmalloc", "release-rounding"): OWN_PARTS,
    ("snmalloc", "sandbox"): "does nothing: its main is empty",
    ("snmalloc", "seqset"): OWN_PARTS,
    ("snmalloc", "sizeclass"): OWN_PARTS,
    ("snmalloc", "thread_alloc_external"): OWN_HEAP,
    ("snmalloc", "two_alloc_types"): OWN_HEAP,
}

DEBIANS = "a test that came with one of Debian's security fixes, which its server does not pass"
AS_ROOT = "as root: expects that a file which is read-only cannot be written"

EXPLAINED = {
    ("glibc", "tst-dynarray-fail"): "leaves 2 MiB of address space, less than the 4 MiB that a segment of the heap takes",
    ("glibc", "tst-malloc-backtrace"): "writes over what glibc has before a freed block and expects an abort; here nothing is there",
    ("glibc", "tst-malloc-stats-cancellation"): "looks for words of glibc's malloc_stats ('max mmap bytes')",
    ("glibc", "tst-malloc-thread-fail"): "reads errno after posix_memalign, which returns its error; passes where it looks at that",
    ("glibc", "tst-mallopt"): "mallopt(M_PERTURB) answers 0: blocks are not filled",
    ("glibc", "tst-safe-linking"): "expects how glibc mangles and checks its links in freed blocks",
    ("glibc", "tst-tcfree[12]"): "a second free by the block's own thread is not looked for on the fast path, as glibc's cache does",
    ("libc-test", "regression/flockfile-list"): "defines malloc itself",
    ("cpython", "test_ensurepip"): "Debian has switched that off in its Python",
    ("cpython", "test_idle"): "needs tkinter",
    ("cpython", "test_resource"): "expects no limit to the size of a file; run.py sets one",
    ("redis", "integration/corrupt-dump"): DEBIANS,
    ("redis", "integration/replication"): DEBIANS,
    ("redis", "unit/dump"): DEBIANS,
    ("sqlite", "attach"): "refuses to run as root",
    ("sqlite", "backup2"): AS_ROOT,
    ("sqlite", "bigfile"): "writes a file larger than run.py lets a case write",
    ("sqlite", "delete"): AS_ROOT,
    ("sqlite", "extension01"): AS_ROOT,
    ("sqlite", "io"): "expects another default page size than this build has",
    ("sqlite", "misc7"): AS_ROOT,
    ("sqlite", "oserror"): AS_ROOT,
    ("sqlite", "pager1"): AS_ROOT,
    ("sqlite", "temptable"): AS_ROOT,
    ("sqlite", "tkt3457"): AS_ROOT,
    ("sqlite", "wal2"): AS_ROOT,
    ("stress-ng", "malloc --malloc-mlock"): "an option of later versions",
    ("stress-ng", "malloc --malloc-trim"): "an option of later versions",
    ("glibc", "tst-malloc-usable*"): "needs MALLOC_CHECK_ and libc_malloc_debug",
    ("ltp", "mallinfo01"): "expects one free of glibc's chunks to raise ordblks by one; here that field counts the blocks in use",
    ("mimalloc", "test-api"): "what the standard names cannot do: a block aligned at an offset; realloc to 0 that keeps a block",
}


def _find(table, case):
    return next((why for (suite, name), why in table.items() if suite == case.suite and fnmatch.fnmatchcase(case.name, name)), None)


def apart(case):
    """Why the case is not run, or None."""
    return _find(APART, case)


def explained(case):
    """Why it is no fault of the library's that the case fails, or None."""
    return _find(EXPLAINED, case)
