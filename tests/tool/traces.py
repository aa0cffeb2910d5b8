"""Small traces with known answers, in the text format of allot dump."""

STACKS = """\
s 1 0 ? fn=main at=/src/main.c:12
s 2 1 ? fn=read_all at=/src/read.c:88
s 3 2 ? fn=parse_line at=/src/parse.c:41
s 4 1 ? fn=load_config at=/src/config.c:5
s 5 2 ? fn=cache_add(Cache*,%20int) at=/src/cache.cc:7
s 6 5 ? fn=std::vector<int,%20std::allocator<int>%20>::reserve(unsigned%20long) at=/usr/include/c++/12/bits/vector.tcc:70
s 7 6 ? fn=operator%20new(unsigned%20long) at=new_op.cc:50
"""

# 100 lines are parsed, 10 ms each, 64 bytes for 1 us; every tenth goes to the cache, 1000 bytes, for ever; the configuration is
# 5 blocks of 10 bytes; halfway 50000 bytes are there for a moment.
def known():
    out = ["allot-text 1 addresses times stacks", "command ./server%20--port%2080", "process 1 0 /usr/bin/server",
           *STACKS.splitlines()]
    address = 0x1000
    for i in range(5):
        address += 16
        out.append(f"a {address:#x} 10 s=4")
    time = 0
    for i in range(100):
        time += 10_000_000
        address += 64
        out.append(f"a {address:#x} 64 @{time} s=3")
        out.append(f"f {address:#x} @{time + 1000}")
        if i % 10 == 0:
            address += 1008
            out.append(f"a {address:#x} 1000 s=7")
        if i == 50:
            out.append("mark half%20way")
            out.append("counters 1000000 2000000")
            out.append(f"a {0x900000:#x} 50000 s=3")
            out.append(f"r {0x900000:#x} 60000 to={0xa00000:#x} s=3 @{time + 2000}")
            out.append(f"f {0xa00000:#x} @{time + 5_000_000} t=2")
    out.append("exit itself")
    return "\n".join(out) + "\n"
