"""Deterministic input that the cases make for themselves."""

import random

SYLLABLES = "ba ce di fo gu ka le mi no pu ra se ti vo wu xa ye zi".split()


def words(count, seed=1):
    """`count` pronounceable words, some of them often."""
    draw = random.Random(seed)
    stock = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 6))) for _ in range(5000)]
    weights = [1 / (i + 1) for i in range(len(stock))]
    return draw.choices(stock, weights, k=count)


def prose(lines, seed=1):
    """Lines of ten words and a number."""
    draw = random.Random(seed)
    stream = iter(words(lines * 10, seed))
    return "".join(f"{' '.join(next(stream) for _ in range(10))} {draw.randrange(10**6)}\n" for _ in range(lines))


def noise(size, seed=1):
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


def tree(root, files, seed=1):
    """A directory tree of `files` small text files, a tenth of them binary."""
    draw = random.Random(seed)
    for i in range(files):
        path = root / f"d{i % 7}" / f"e{i % 13}" / f"f{i}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(draw.randrange(4000), i) if i % 10 == 0 else prose(draw.randrange(1, 60), i).encode())
