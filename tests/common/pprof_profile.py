"""A reader of pprof's profile.proto, independent of what writes it: strict about what readers in the field need.

    profile = read(bytes)       # compressed or not
    profile.types               # ["alloc_objects/count", ...]
    profile.samples             # [Sample(stack, values, labels)], a stack of Location, innermost first
"""
import collections
import gzip

Location = collections.namedtuple("Location", "id mapping address lines")  # lines: (function's name, file, line)
Mapping = collections.namedtuple("Mapping", "id start limit offset file build_id functions")
Sample = collections.namedtuple("Sample", "stack values labels")
Profile = collections.namedtuple(
    "Profile", "types samples mappings locations time duration period period_type comments default strings"
)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            assert value < 1 << 64, "a varint of more than 64 bits"
            return value, at
        shift += 7


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def fields(data):
    """Every field of a message: its number and its value, an int or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            assert key & 7 == 2, f"wire type {key & 7}"
            length, at = varint(data, at)
            value = data[at : at + length]
            assert len(value) == length, "a field that goes beyond its message"
            at += length
        yield key >> 3, value


def message(data, most):
    """The fields of a message by number, each a list."""
    found = collections.defaultdict(list)
    for number, value in fields(data):
        assert 1 <= number <= most, f"field {number}"
        found[number].append(value)
    return found


def one(message, number, default=0):
    values = message[number]
    assert len(values) <= 1, f"field {number} comes {len(values)} times"
    return values[0] if values else default


def packed(values):
    numbers = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            numbers.append(number)
    return numbers


def read(data):
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    top = message(data, 15)
    strings = [text.decode() for text in top[6]]
    assert strings[0] == "" and all(strings[1:]), "the first string is empty, and no other"

    def value_type(data):
        m = message(data, 2)
        return f"{strings[one(m, 1)]}/{strings[one(m, 2)]}"

    mappings = {}
    for data in top[3]:
        m = message(data, 10)
        mapping = Mapping(one(m, 1), one(m, 2), one(m, 3), one(m, 4), strings[one(m, 5)], strings[one(m, 6)], one(m, 7))
        assert mapping.id and mapping.id not in mappings and mapping.build_id and mapping.file, mapping
        assert mapping.start < mapping.limit, mapping
        mappings[mapping.id] = mapping
    functions = {}
    for data in top[5]:
        m = message(data, 5)
        assert one(m, 1) and one(m, 1) not in functions
        functions[one(m, 1)] = (strings[one(m, 2)], strings[one(m, 4)])
        assert strings[one(m, 3)] or not one(m, 3)
    locations = {}
    for data in top[4]:
        m = message(data, 5)
        lines = [message(line, 3) for line in m[4]]
        mapping = mappings[one(m, 2)]
        location = Location(
            one(m, 1), mapping, one(m, 3), [(*functions[one(line, 1)], signed(one(line, 2))) for line in lines]
        )
        assert location.id and location.id not in locations
        assert mapping.start <= location.address < mapping.limit, location
        locations[location.id] = location
    types = [value_type(data) for data in top[1]]
    samples = []
    for data in top[2]:
        m = message(data, 3)
        values = [signed(value) for value in packed(m[2])]
        assert len(values) == len(types)
        labels = {}
        for data in m[3]:
            label = message(data, 4)
            text, number = one(label, 2), signed(one(label, 3))
            labels[strings[one(label, 1)]] = strings[text] if text else (number, strings[one(label, 4)])
        samples.append(Sample([locations[id] for id in packed(m[1])], values, labels))
    return Profile(
        types, samples, mappings, locations, signed(one(top, 9)), signed(one(top, 10)), signed(one(top, 12)),
        value_type(one(top, 11, b"")), [strings[n] for n in packed(top[13])], strings[one(top, 14)], strings,
    )
