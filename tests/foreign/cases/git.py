"""git over a generated history of a few thousand commits."""

import random
import subprocess

from inputs import prose
from side import SEARCH
from table import case

WHO = "A U Thor <author@example.com>"
DATE = "1234567890 +0000"
ENV = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_PAGER": "cat", "GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE}
SETUP = "git config --global user.name A; git config --global user.email a@b.c; git config --global safe.directory '*'"


def fast_import(commits, seed=1):
    """A stream for git fast-import: commits on main with every 40th a merge of a side branch, tags, growing files."""
    draw = random.Random(seed)
    mark, lines = 0, []
    files = {f"src/d{i % 9}/file{i}.txt": prose(30, i).splitlines() for i in range(60)}

    def blob(text):
        nonlocal mark
        mark += 1
        lines.append(f"blob\nmark :{mark}\ndata {len(text)}\n{text}\n")
        return mark

    previous, marks = None, []
    for n in range(commits):
        changed = draw.sample(sorted(files), draw.randint(1, 3))
        for name in changed:
            body = files[name]
            body[draw.randrange(len(body))] = f"change {n} {draw.random()}"
            body.insert(draw.randrange(len(body)), f"line of {n}")
        blobs = [(name, blob("\n".join(files[name]) + "\n")) for name in changed]
        mark += 1
        merged = f"merge :{draw.choice(marks)}\n" if n % 40 == 39 else ""
        message = f"Commit {n}\n\n{prose(2, n)}"
        lines.append(f"commit refs/heads/main\nmark :{mark}\ncommitter {WHO} {1000000000 + n * 600} +0000\n")
        lines.append(f"data {len(message)}\n{message}\n" + (f"from :{previous}\n" if previous else "") + merged)
        lines += [f"M 100644 :{m} {name}\n" for name, m in blobs]
        previous = mark
        marks = (marks + [previous])[-200:]
        if n % 200 == 0:
            lines.append(f"tag v{n}\nfrom :{mark}\ntagger {WHO} {1000000000 + n * 600} +0000\ndata 3\ntag\n")
    return "".join(lines) + "done\n"


def history(commits):
    def prepare(made):
        stream = made / "stream"
        stream.write_text(fast_import(commits))
        env = {"PATH": SEARCH, "HOME": str(made), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", made / "r.git"], env=env, check=True)
        with stream.open() as feed:
            subprocess.run(
                ["git", "-C", made / "r.git", "fast-import", "--quiet", "--done"], stdin=feed, env=env, check=True
            )

    return prepare


def work(t, deep):
    made = t.input
    run = lambda script, **k: t.shell(script, env=ENV, **k)  # noqa: E731
    run(SETUP)
    run(
        f"git init -q --bare -b main i.git; git -C i.git fast-import --quiet --done < {made}/stream; "
        f"git -C i.git show-ref | sha1sum",
    )
    run(
        f"git clone -q --no-local {made}/r.git c; git -C c rev-parse HEAD; git -C c ls-files -s | sha1sum",
        show="out",
    )
    run("cd c; git log --stat --graph | sha1sum; git log --oneline -S'change 7' | wc -l; git shortlog -sn HEAD")
    run(
        "cd c; git log -p --word-diff -50 | sha1sum; git log --follow --format=%h -- src/d1/file1.txt | tail -3",
    )
    run(
        "cd c; git blame -C src/d3/file3.txt | sha1sum; git grep -n 'line of' HEAD~100 | sha1sum; "
        "git describe --all HEAD~77",
    )
    run("cd c; git diff --stat HEAD~300 HEAD; git format-patch -q -30 -o p --no-signature; cat p/* | sha1sum")
    run(
        "cd c; git checkout -q -b topic HEAD~40; git commit -q --allow-empty -m topic; git merge -q -m m main; "
        "git rev-parse HEAD; git reset -q --hard HEAD~1",
    )
    run("cd c; git gc -q --prune=now; git fsck --full --strict; git count-objects -v | grep -v size-pack")
    run("git clone -q --depth 20 file://$PWD/c s; git -C s rev-list --count --all; git -C s fsck", show="out")
    run(
        "cd c; git archive HEAD | sha1sum; git bundle create -q ../b main; git bundle verify -q ../b; "
        "git cat-file --batch-all-objects --batch-check | sha1sum",
    )
    if deep:
        run(
            "cd c; git -c pack.threads=2 repack -adfq --depth=100 --window=100; "
            "git verify-pack .git/objects/pack/*.idx; git fsck --full",
        )
        run(
            "cd c; git log -p -M -C --stat --all | sha1sum; git rev-list --objects --all | sha1sum; "
            "git bisect start HEAD HEAD~900 > /dev/null; "
            "git bisect run sh -c 'grep -q x README 2>/dev/null' | sha1sum; git bisect reset 2>&1",
        )
        run(
            "for f in 1 2 3 4 5 6; do for n in c/src/d$f/*; do git -C c blame -w -M ${n#c/}; done; " "done | sha1sum",
        )


@case("git", programs="git", quick=True, prepare=history(400))
def _(t):
    """fast-import, clone, log, blame, grep, diff, gc, fsck, archive over 400 commits"""
    work(t, deep=False)


@case("git-history", programs="git", prepare=history(4000), timeout=1200)
def _(t):
    """the same over 4000 commits, with a full threaded repack, bisect and every blame"""
    work(t, deep=True)
