"""Python's sqlite3 module at work: functions and aggregates in Python, blobs, backup, connections in threads."""

import hashlib
import sqlite3
import threading


class Spread:
    def __init__(self):
        self.values = []

    def step(self, value):
        self.values.append(value)

    def finalize(self):
        return max(self.values) - min(self.values)


def extend(db):
    db.create_function("twist", 2, lambda a, b: f"{a:x}{b}"[::-1])
    db.create_aggregate("spread", 1, Spread)
    db.create_collation("reverse", lambda a, b: (a < b) - (a > b))


def fill(db, seed, rows):
    extend(db)
    db.execute("create table t(id integer primary key, word text, data blob)")
    db.executemany(
        "insert into t(word, data) values(twist(?, ?), ?)",
        ((i * 7919 % 10007, seed, bytes([i & 255]) * (i % 400)) for i in range(rows)),
    )
    db.commit()


def digest(db):
    rows = db.execute("select word, data, length(data) from t order by word collate reverse, id").fetchall()
    return (
        len(rows),
        hashlib.sha256(repr(rows).encode()).hexdigest()[:16],
        db.execute("select spread(id) from t").fetchone(),
    )


def in_thread(results, seed):
    db = sqlite3.connect(":memory:")
    fill(db, seed, 4000)
    results[seed] = digest(db)


first = sqlite3.connect(":memory:")
fill(first, 1, 20000)
second = sqlite3.connect("copy.db")
extend(second)
first.backup(second, pages=7)
print(digest(first), digest(second) == digest(first))
blob = first.blobopen("t", "data", 400)
print(len(blob), blob.read(5))
try:
    first.execute("select twist(1)")
except sqlite3.OperationalError as error:
    print(error)
results = {}
threads = [threading.Thread(target=in_thread, args=(results, seed)) for seed in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sorted(results.items()))
dump = "\n".join(second.iterdump())
print(hashlib.sha256(dump.encode()).hexdigest())
