"""Script languages, each on a program of its own beside it in programs/."""

from pathlib import Path

from table import case

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


PERL_MODULES = ["/usr/lib/*/perl/5.*/Digest/SHA.pm"]  # not in perl-base


@case("perl", programs="perl", files=PERL_MODULES, quick=True)
def _(t):
    """perl: hashes, strings, regular expressions, sorting, closures, sprintf, fork, sockets, threads"""
    t.run("perl", PROGRAMS / "words.pl", 20000)
    t.run("perl", "-V:.*alloc.*")
    t.run("perl", "-e", "die qq(as asked\\n)", want=None)


@case("perl-modules", programs="perl", files=PERL_MODULES)
def _(t):
    """perl: a quarter of the core modules loaded, then Test::Harness over generated tests, B::Deparse, perldoc"""
    t.run("perl", PROGRAMS / "words.pl", 400000, timeout=900)
    t.shell(
        """
        find /usr/share/perl/5.* -name '*.pm' | LC_ALL=C sort | awk 'NR % 4 == 0' | while read -r f; do
            perl -c "$f" > /dev/null 2>&1 < /dev/null && echo "$f ok" || echo "$f $?"
        done""",
        timeout=900,
    )
    for i in range(40):
        t.write(
            f"t/{i:02}.t",
            f"""
            use Test::More tests => 60;
            my %h = map {{ $_ => [1 .. $_ % 17] }} 1 .. 3000;
            is(scalar(@{{$h{{$_ * {i + 1}}}}}), ($_ * {i + 1}) % 17, "part $_") for 1 .. 58;
            is_deeply(eval {{ my $d = {{ a => [1, {{ b => 2 }}] }}; $d }}, {{ a => [1, {{ b => 2 }}] }});
            like("x" x 1000, qr/^(x{{10}})+$/);
        """,
        )
    t.shell("prove -j2 --nocolor t | sed 's/^Files=.*//; s/ *[0-9]* ms//' | sort")
    t.run("perl", "-MO=Deparse", PROGRAMS / "words.pl", env={"PERL_HASH_SEED": "0"})


@case("lua", programs="lua5.4", quick=True)
def _(t):
    """lua: tables, closures, coroutines, string buffers, weak tables, both collectors"""
    t.run("lua5.4", PROGRAMS / "trees.lua", 15)


@case("lua-long", programs="lua5.4", timeout=900)
def _(t):
    """the same on trees eight times as big, six runs"""
    for _ in range(6):
        t.run("lua5.4", PROGRAMS / "trees.lua", 18)


@case("node", programs="node", quick=True)
def _(t):
    """node: objects, buffers, zlib, crypto, worker threads, a child process, a local HTTP exchange"""
    t.run("node", PROGRAMS / "churn.js", 4)


@case("node-long", programs="node", timeout=900)
def _(t):
    """the same, fifty times the work, in a small old space"""
    t.run("node", "--max-old-space-size=500", PROGRAMS / "churn.js", 200)


@case("php", programs="php", quick=True)
def _(t):
    """php with USE_ZEND_ALLOC=0: arrays, strings, objects in cycles, regular expressions, JSON, generators"""
    for zend in ("0", "1"):
        t.run("php", "-n", PROGRAMS / "churn.php", env={"USE_ZEND_ALLOC": zend})


@case("ruby", programs="ruby", quick=True)
def _(t):
    """ruby: hashes, strings, symbols, fibers, threads, fork, garbage collection with compaction"""
    t.run("ruby", "--disable-gems", PROGRAMS / "churn.rb", 20000)


@case("ruby-long", programs="ruby", timeout=900)
def _(t):
    """the same with thirty times as much, and under GC.stress"""
    t.run("ruby", "--disable-gems", PROGRAMS / "churn.rb", 600000)
    t.run("ruby", "--disable-gems", PROGRAMS / "churn.rb", 60, env={"STRESS": "1"})


@case("tcl", programs="tclsh8.6", quick=True)
def _(t):
    """tclsh: lists, dictionaries, strings, regular expressions, coroutines, a pipe"""
    t.write(
        "t.tcl",
        r"""
        set d [dict create]
        for {set i 0} {$i < 50000} {incr i} { dict lappend d k[expr {$i * 7919 % 997}] $i }
        puts "[dict size $d] [llength [dict get $d k5]]"
        set s {}; foreach k [lsort [dict keys $d]] { append s $k , }
        puts "[string length $s] [regexp -all {k1[0-9]+} $s] [regsub -all {k(\d)} $s {<\1>} r] [string length $r]"
        coroutine c apply {{} { yield; set a {}; while 1 { lappend a [yield [llength $a]] } }}
        for {set i 0} {$i < 5000} {incr i} { set n [c $i] }; puts $n
        puts [expr {2 ** 2000 % (10 ** 40)}]
        set f [open "| sort -n" r+]; foreach x {3 1 2} { puts $f $x }; close $f write; puts [read $f]
        puts [lrange [lsort -integer -decreasing [lmap x [lrepeat 3000 7] { expr {$x * [incr y] % 1009} }]] 0 9]
    """,
    )
    t.run("tclsh8.6", "t.tcl")


@case("guile", programs="guile")
def _(t):
    """guile, whose own collector scans blocks it did not allocate: compile, big integers, hash tables, threads"""
    t.write(
        "g.scm",
        """
        (use-modules (ice-9 threads) (srfi srfi-1))
        (define h (make-hash-table))
        (do ((i 0 (+ i 1))) ((= i 100000))
          (let ((k (string-append "k" (number->string (modulo (* i 7919) 997)))))
            (hash-set! h k (cons i (hash-ref h k '())))))
        (display (hash-count (const #t) h)) (newline)
        (display (modulo (fold * 1 (iota 1000 1)) (- (expt 2 521) 1))) (newline)
        (display (par-map (lambda (n) (string-length (number->string (expt 3 n)))) (iota 40 1000))) (newline)
        (gc) (display (length (hash-ref h "k5"))) (newline)
    """,
    )
    t.run("guile", "--no-auto-compile", "-s", "g.scm")


@case("erlang", programs="erl escript")
def _(t):
    """erlang with its own allocators sent to malloc (+MYc and +Mea min): processes, binaries, maps, ets"""
    t.write(
        "e.escript",
        """#!/usr/bin/escript
%%! +Mea min
main(_) ->
    Self = self(),
    Pids = [spawn(fun() -> L = [integer_to_binary(X * N) || X <- lists:seq(1, 300)],
                           Self ! {self(), erlang:crc32(L)} end) || N <- lists:seq(1, 2000)],
    Sums = [receive {P, C} -> C end || P <- Pids],
    T = ets:new(t, []),
    [ets:insert(T, {N, binary:copy(<<N:32>>, N rem 200)}) || N <- lists:seq(1, 20000)],
    Add = fun(N, A) -> maps:update_with(N rem 997, fun(L) -> [N | L] end, [N], A) end,
    M = lists:foldl(Add, #{}, lists:seq(1, 50000)),
    io:format("~p ~p ~p~n", [lists:sum(Sums), ets:info(T, size), length(maps:get(5, M))]).
""",
    )
    t.run("escript", "e.escript")
