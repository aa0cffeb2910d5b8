# What a Python program does all day: objects, dictionaries, strings, JSON, sorting, regular expressions.
import json
import re


class Reading:
    def __init__(self, sensor, time, value):
        self.sensor, self.time, self.value = sensor, time, value


def numbers(n, state=12345):
    for _ in range(n):
        state = (state * 1103515245 + 12345) % 2147483648
        yield state


readings = [Reading(f"sensor-{x % 997}", i, x / 1000) for i, x in enumerate(numbers(190_000))]
by_sensor = {}
for reading in readings:
    by_sensor.setdefault(reading.sensor, []).append((reading.time, reading.value))
for name in sorted(by_sensor)[::3]:
    del by_sensor[name]
text = json.dumps({name: rows for name, rows in by_sensor.items()}, sort_keys=True)
again = json.loads(text)
words = re.findall(r"[a-z]+-\d+|\d+\.\d+", text)
counts = {}
for word in words:
    counts[word] = counts.get(word, 0) + 1
lines = sorted(f"{word}={count}" for word, count in counts.items())
readings.clear()
print(len(text), len(again), len(words), len(lines), hash(tuple(map(len, lines))))
print("\n".join(lines[::500]))
