"""Databases, servers and clients on loopback, and cryptography."""

import os
import pwd
from pathlib import Path

from inputs import prose
from table import case

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
POSTGRES = "/usr/lib/postgresql/*/bin/postgres"
SECRETS = (
    "openssl genpkey -algorithm {kind} -out key.pem; "
    "openssl req -x509 -key key.pem -days 30 -subj /CN=localhost -out cert.pem"
)


@case("sqlite3", programs="sqlite3", quick=True)
def _(t):
    """the sqlite3 shell: joins, windows, recursion, triggers, full text, JSON, vacuum, dump and restore"""
    t.run("sqlite3", "a.db", stdin=PROGRAMS / "inventory.sql", want=1)  # its last statement names no table
    t.run("sqlite3", ":memory:", stdin=PROGRAMS / "inventory.sql", want=1)
    t.shell(
        "sqlite3 a.db .dump > d.sql; sqlite3 b.db < d.sql; sqlite3 b.db .dump | cmp - d.sql; sha256sum < d.sql",
    )
    t.run("sqlite3", "-json", "a.db", "SELECT * FROM sale ORDER BY amount, id DESC LIMIT 500")


@case("sqlite3-soak", programs="sqlite3", timeout=1800)
def _(t):
    """the same on a database thirty times as large, with a small page cache and with memory-mapped pages"""
    script = (PROGRAMS / "inventory.sql").read_text().replace("20000)", "600000)").replace("60000)", "1800000)")
    for pragma in ("PRAGMA cache_size = 50;", "PRAGMA mmap_size = 300000000; PRAGMA threads = 2;"):
        t.run("sqlite3", ":memory:", stdin=pragma + script, want=1)
        t.shell("rm -f a.db")
        t.run("sqlite3", "a.db", stdin=pragma + script, want=1)


def redis(t, tests, requests, save):
    port = str(t.port())
    server = t.start("redis-server", "--port", port, "--dir", t.dir, "--bind", "127.0.0.1", "--save", "", port=t.port())
    cli = ("redis-cli", "-p", port)
    fill = "".join(
        f"SET k{i % 5000} {'v' * (i % 300)}\nHSET h{i % 97} f{i} {i}\nRPUSH l{i % 31} {i}\n" for i in range(save)
    )
    t.run(*cli, stdin=fill, show="none")
    t.run(*cli, "DBSIZE")
    t.run(
        *cli,
        "EVAL",
        "local t = {} for i = 1, 20000 do t[#t + 1] = redis.call('GET', 'k' .. i % 5000) end return #table.concat(t)",
        0,
    )
    digest = t.run(*cli, "DEBUG", "DIGEST").out
    t.run(
        "redis-benchmark",
        "-p",
        port,
        "-n",
        requests,
        "-c",
        "20",
        "-P",
        "4",
        "-r",
        "10000",
        "-d",
        "200",
        "-t",
        tests,
        "-q",
        show="err",
    )
    t.run(*cli, "SAVE")
    t.run(*cli, "BGREWRITEAOF", show="out")
    t.run(*cli, "DEBUG", "RELOAD")
    t.run(*cli, "MEMORY", "PURGE")
    t.run(*cli, "FLUSHALL")
    t.run(*cli, "RPUSH", "list", *range(3000), show="none")
    t.run(*cli, "LRANGE", "list", "0", "-1")
    t.note("digest after filling", digest)
    t.run(*cli, "SHUTDOWN", "NOSAVE", want=None, show="none")
    server.stop(0)


@case("redis", programs="redis-server redis-cli redis-benchmark", quick=True)
def _(t):
    """redis-server on loopback: a data set, a script, redis-benchmark, save, reload, rewrite, shutdown"""
    redis(t, "set,get,lpush,hset", 20000, 3000)


@case("redis-soak", programs="redis-server redis-cli redis-benchmark", timeout=1200)
def _(t):
    """the same with every benchmark of redis-benchmark and half a million requests each"""
    redis(t, "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset", 300000, 60000)


@case("memcached", programs="memcached")
def _(t):
    """memcached with four threads: sets, gets, a flush, over bash's /dev/tcp"""
    server = t.start("memcached", "-u", "root", "-l", "127.0.0.1", "-p", t.port(), "-t", "4", "-m", "64", port=t.port())
    t.shell(
        f"""
        exec 3<>/dev/tcp/127.0.0.1/{t.port()}
        for i in {{1..3000}}; do
            v=$(printf '%*s' $((i % 700)) x); printf 'set k%d 0 0 %d\\r\\n%s\\r\\n' $i ${{#v}} "$v"
        done >&3 &
        for i in {{1..3000}}; do read -r a <&3; echo "$a"; done | sort | uniq -c; wait
        for i in 1 500 2999 5000; do printf 'get k%d\\r\\n' $i; done >&3
        printf 'flush_all\\r\\nquit\\r\\n' >&3; cat <&3
    """
    )
    server.stop()


@case("nginx", programs="nginx curl")
def _(t):
    """nginx on loopback: files, gzip, redirects, 404, a reload under load"""
    t.write("www/index.html", prose(3000))
    t.write(
        "nginx.conf",
        f"""
        worker_processes 2; daemon off; pid {t.dir}/pid; error_log {t.dir}/error.log warn; user {user_name()};
        events {{ worker_connections 256; }}
        http {{ access_log off; gzip on; gzip_types text/plain; gzip_min_length 10; default_type text/plain; etag off;
            client_body_temp_path {t.dir}/c; proxy_temp_path {t.dir}/p; fastcgi_temp_path {t.dir}/f;
            uwsgi_temp_path {t.dir}/u; scgi_temp_path {t.dir}/s;
            server {{ listen 127.0.0.1:{t.port()}; root {t.dir}/www; location /old {{ return 301 /index.html; }}
                location /proxy/ {{ proxy_pass http://127.0.0.1:{t.port()}/; }} }} }}
    """,
    )
    server = t.start("nginx", "-c", t.dir / "nginx.conf", "-e", t.dir / "error.log", port=t.port())
    url = f"http://127.0.0.1:{t.port()}"
    t.shell(
        f"for i in {{1..60}}; do curl -s --compressed {url}/proxy/index.html | sha1sum; done | uniq -c; "
        f"curl -s -o /dev/null -w '%{{http_code}} %{{redirect_url}}\\n' {url}/old {url}/no",
    )
    t.run("nginx", "-c", t.dir / "nginx.conf", "-e", t.dir / "error.log", "-s", "reload")
    t.shell(
        f"curl -sL {url}/old | sha1sum; " f"curl -s -r 100-199,500-520 {url}/index.html | grep -v -e '^--' | sha1sum",
    )
    server.stop()


def user_name():
    return pwd.getpwuid(os.getuid()).pw_name


@case("postgres", files=[POSTGRES], programs="runuser", timeout=900)
def _(t):
    """initdb, postgres on loopback, pgbench, dump and restore, a parallel query, vacuum (as user postgres)"""
    if os.getuid() == 0:
        t.run("chown", "postgres", t.dir, t.dir / "tmp")
    home = sorted(Path("/").glob(POSTGRES[1:]))[-1].parent

    def as_postgres(command, **options):
        drop = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        env = {"PGHOST": str(t.dir), "PGPORT": str(t.port()), "PATH": f"{home}:/usr/bin:/bin"}
        return t.run(*drop, "bash", "-ec", command, env=env, **options)

    t.also(home / "postgres", home / "initdb", home / "psql", home / "pgbench", home / "pg_dump")
    as_postgres(f"initdb -D {t.dir}/data -A trust -N > init.log")
    as_postgres(
        f"pg_ctl -s -w -D {t.dir}/data -l pg.log -o '-k {t.dir} -c listen_addresses= -c fsync=off' start", show="err"
    )
    try:
        as_postgres("createdb b; pgbench -q -i -s 5 b 2>/dev/null; pgbench -c 8 -j 2 -t 400 b > bench.log 2>&1")
        as_postgres("grep 'number of transactions actually' bench.log; grep 'failed transactions' bench.log")
        as_postgres(
            "psql -qAt b -c 'select count(*), sum(tbalance) ="
            " (select sum(bbalance) from pgbench_branches) from pgbench_tellers'"
        )
        query = (
            "select aid % 97 k, count(*), md5(string_agg(aid::text, chr(44) order by aid))"
            " from pgbench_accounts group by 1 order by 1"
        )
        as_postgres(
            f"psql -qAt b -c 'set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0' -c '{query}'",
        )
        as_postgres(
            "psql -qAt b -c 'select jsonb_object_agg(aid, bid) from pgbench_accounts where aid < 3000' | sha1sum"
        )
        as_postgres(
            "pg_dump b > d.sql; createdb c; psql -q c < d.sql > /dev/null; "
            "pg_dump c | cmp <(sed /restrict/d d.sql) <(sed /restrict/d /dev/stdin); vacuumdb -qz -j2 b",
        )
    finally:
        as_postgres(f"pg_ctl -s -w -D {t.dir}/data -m fast stop")


@case("openssl", programs="openssl", quick=True)
def _(t):
    """openssl: digests, ciphers, keys of three kinds, signatures, a TLS handshake with itself"""
    t.write("m", prose(20000))
    t.shell(
        "openssl dgst -sha256 m; openssl dgst -sha3-512 m; openssl dgst -blake2b512 m; "
        "openssl list -digest-algorithms | sort",
    )
    t.shell(
        "openssl enc -aes-256-cbc -pbkdf2 -S 0011223344556677 -k word -in m | sha256sum; "
        "openssl enc -chacha20 -K 00 -iv 00 -in m 2>&1 | sha256sum",
    )
    t.shell("openssl enc -aes-256-cbc -pbkdf2 -k word -in m | openssl enc -d -aes-256-cbc -pbkdf2 -k word | cmp - m")
    for kind in ("rsa", "ed25519", "EC -pkeyopt ec_paramgen_curve:P-256"):
        t.shell(SECRETS.format(kind=kind) + " && openssl verify -CAfile cert.pem cert.pem", show="out")
        t.shell(
            "openssl pkey -in key.pem -pubout -out pub.pem; head -c 32 m > h; "
            "openssl pkeyutl -sign -rawin -inkey key.pem -in h -out s"
            " && openssl pkeyutl -verify -rawin -pubin -inkey pub.pem -in h -sigfile s"
        )
    t.shell("openssl speed -seconds 1 -bytes 1024 -multi 2 sha256 2>&1 | grep -c sha256", show="err")
    server = t.start(
        "openssl",
        "s_server",
        "-accept",
        f"127.0.0.1:{t.port()}",
        "-cert",
        "cert.pem",
        "-key",
        "key.pem",
        "-www",
        port=t.port(),
    )
    for version in ("-tls1_2", "-tls1_3"):
        t.shell(
            "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -verify_quiet "
            f"{version} -connect 127.0.0.1:{t.port()} "
            "-CAfile cert.pem 2>/dev/null | grep -a -c Protocol"
        )
    server.stop(want=-15)


@case("curl", programs="curl python3", quick=True)
def _(t):
    """curl: file URLs, globs, parallel transfers, and HTTP from Python's server"""
    for i in range(20):
        t.write(f"www/f{i}", prose(50 * i, seed=i))
    t.shell("curl -s file://$PWD/www/f[0-19] | sha1sum; curl -s file://$PWD/none || echo $?")
    server = t.start(
        "/usr/bin/python3",
        "-m",
        "http.server",
        "-b",
        "127.0.0.1",
        "-d",
        "www",
        t.port(),
        env={"PYTHONMALLOC": "malloc"},
        port=t.port(),
    )
    t.shell(
        f"curl --no-progress-meter -Z -o 'got-#1' 'http://127.0.0.1:{t.port()}/f[0-19]'; cat got-* | sha1sum; "
        f"curl -s -X PUT -d @www/f3 -o /dev/null -w '%{{http_code}}\\n' http://127.0.0.1:{t.port()}/x",
    )
    server.stop(want=-15)


@case("python-sqlite", files=["/usr/bin/python3"], quick=True)
def _(t):
    """Python's sqlite3 module: callbacks, blobs, backup, a connection a thread"""
    t.run("/usr/bin/python3", PROGRAMS / "database.py", env={"PYTHONMALLOC": "malloc"})


@case("z3", programs="z3", quick=True)
def _(t):
    """z3: satisfiability of integer, bit-vector and string puzzles, with models"""
    queens = "".join(f"(declare-const q{i} Int)(assert (< -1 q{i} 9))" for i in range(9))
    queens += "".join(
        f"(assert (and (not (= q{i} q{j})) (not (= (- q{i} q{j}) {j - i})) (not (= (- q{i} q{j}) {i - j}))))"
        for i in range(9)
        for j in range(i + 1, 9)
    )
    t.run("z3", "-in", stdin=queens + "(check-sat)(get-model)(get-info :reason-unknown)")
    t.run(
        "z3",
        "-in",
        stdin="(declare-const x (_ BitVec 24))(declare-const y (_ BitVec 24))(assert (= (bvmul x y) #x0f5995))"
        "(assert (bvult #x000001 x))(assert (bvult x #x000fff))(assert (bvult y #x000fff))(check-sat)",
    )
    t.run(
        "z3",
        "-in",
        stdin='(declare-const s String)(assert (str.in_re s (re.+ (re.union (str.to_re "ab") (str.to_re "c")))))'
        "(assert (= (str.len s) 11))(check-sat)",
    )
