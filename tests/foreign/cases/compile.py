"""Compilers, linkers and build tools: the same objects, byte for byte, and programs that print the same."""

import subprocess
from pathlib import Path

from inputs import prose
from table import case

HERE = Path(__file__).resolve().parents[1]
PROGRAMS = HERE / "programs"
REPOSITORY = HERE.parents[1]
CRATES = "/usr/share/cargo/registry/regex-1*"


def inside(compiler, *tools):
    """The programs a compiler starts behind its back."""
    found = []
    for tool in tools:
        asked = subprocess.run([compiler, f"-print-prog-name={tool}"], capture_output=True, text=True).stdout.strip()
        found += [asked] if "/" in asked else []
    return found


def text(made):
    (made / "prose").write_text(prose(3000))


def compile_c(t, compiler, levels, *flags):
    for level in levels:
        t.run(compiler, level, "-g", "-Wall", "-c", PROGRAMS / "wordcount.c", "-o", "w.o", *flags)
        t.run(compiler, level, "-S", PROGRAMS / "wordcount.c", "-o", "w.s", *flags)
        t.run(compiler, "w.o", "-o", "w", *flags)
        t.digest("w.o", "w.s", "w")
        t.run("./w", stdin=t.input / "prose")
    t.run(compiler, "-c", "-x", "c", "-", "-o", "bad.o", stdin="int f(void) { return undeclared + 1\n", want=1)
    t.run(compiler, "-E", "-dM", "-x", "c", "-", stdin="#include <sys/socket.h>\n")


def compile_cpp(t, compiler, levels, *flags):
    for level in levels:
        t.run(compiler, "-std=c++17", level, "-c", PROGRAMS / "expressions.cpp", "-o", "e.o", *flags)
        t.run(compiler, "e.o", "-o", "e", *flags)
        t.digest("e.o", "e")
        t.run("./e")
    t.run(compiler, "-c", "-x", "c++", "-", "-o", "bad.o", stdin="#include <map>\nstd::map<int, void> m = 3;\n", want=1)


@case("gcc", programs="gcc", quick=True, prepare=text)
def _(t):
    """gcc compiling, assembling and linking C at -O0 and -O2 -g; its errors; what it made run"""
    t.also(*inside("gcc", "cc1", "as", "ld", "collect2"))
    compile_c(t, "gcc", ("-O0", "-O2"))


@case("gcc-more", programs="gcc", prepare=text)
def _(t):
    """gcc at -O1 and -O3, link-time optimisation in two jobs, the static analyser, sanitised code"""
    t.also(*inside("gcc", "lto1", "lto-wrapper"))
    compile_c(t, "gcc", ("-O1", "-O3"))
    t.run("gcc", "-O2", "-flto=2", PROGRAMS / "wordcount.c", "-o", "l", "-frandom-seed=1")
    t.digest("l")
    t.run("./l", stdin=t.input / "prose")
    t.run("gcc", "-O2", "-fanalyzer", "-c", PROGRAMS / "wordcount.c", "-o", "w.o")


@case("gxx", programs="g++", quick=True)
def _(t):
    """g++ compiling and linking template-heavy C++ at -O0; what it made runs"""
    t.also(*inside("g++", "cc1plus"))
    compile_cpp(t, "g++", ("-O0",))


@case("gxx-more", programs="g++")
def _(t):
    """g++ at -O2, -O3 -g3, link-time optimisation, and a precompiled header"""
    compile_cpp(t, "g++", ("-O2",))
    compile_cpp(t, "g++", ("-O3",), "-g3")
    t.run("g++", "-O2", "-flto=2", "-frandom-seed=1", PROGRAMS / "expressions.cpp", "-o", "l")
    t.run("./l")
    t.write("all.hpp", "#include <map>\n#include <regex>\n#include <string>\n#include <thread>\n#include <vector>\n")
    t.run("g++", "-O1", "all.hpp", "-o", "all.hpp.gch")
    t.run(
        "g++",
        "-O1",
        "-Winvalid-pch",
        "-include",
        "all.hpp",
        "-x",
        "c++",
        "-c",
        "-",
        "-o",
        "p.o",
        stdin="std::regex r;\n",
    )
    t.digest("l", "p.o")


@case("clang", programs="clang", quick=True, prepare=text)
def _(t):
    """clang compiling and linking C at -O0 and -O2 -g; its errors; what it made runs"""
    compile_c(t, "clang", ("-O0", "-O2"))


@case("clangxx", programs="clang++")
def _(t):
    """clang++ compiling and linking template-heavy C++ at -O0 and -O2"""
    compile_cpp(t, "clang++", ("-O0", "-O2"))


@case("clangxx-quick", programs="clang++", quick=True)
def _(t):
    """clang++ over template-heavy C++, syntax tree and checks only"""
    t.run("clang++", "-std=c++17", "-fsyntax-only", "-Weverything", PROGRAMS / "threads.cpp")
    t.run("clang++", "-std=c++17", "-O1", "-c", PROGRAMS / "threads.cpp", "-o", "t.o")
    t.digest("t.o")


@case("clang-tools", programs="clang-format clang-tidy")
def _(t):
    """clang-format and clang-tidy over the C++ programs here"""
    t.run("clang-format", "--style=LLVM", PROGRAMS / "threads.cpp", PROGRAMS / "expressions.cpp")
    t.run("clang-tidy", "--checks=*,-llvmlibc-*", PROGRAMS / "threads.cpp", "--", "-std=c++17", want=None, show="out")


@case("linkers", programs="gcc ld.gold ld.lld", quick=True, prepare=text)
def _(t):
    """ld.bfd, gold and lld linking one object, with garbage collection and compressed debug sections"""
    t.run("gcc", "-O1", "-g", "-ffunction-sections", "-c", PROGRAMS / "wordcount.c", "-o", "w.o")
    for linker in ("bfd", "gold", "lld"):
        t.run(
            "gcc", f"-fuse-ld={linker}", "-Wl,--gc-sections,--compress-debug-sections=zlib", "w.o", "-o", f"w-{linker}"
        )
        t.digest(f"w-{linker}")
        t.run(f"./w-{linker}", stdin=t.input / "prose")
    t.run("gcc", "-static", "w.o", "-o", "w-static")
    t.shell(
        "ar rcD l.a w.o; ranlib -D l.a; nm l.a; strip -o s w-bfd; objcopy --only-keep-debug w-bfd d; size s d",
    )
    t.digest("w-static", "l.a", "s", "d")


def generated_project(made):
    """Forty C files, a library and a program, and a Makefile that compiles them all."""
    names = [f"part{i}" for i in range(40)]
    for i, name in enumerate(names):
        body = f'#include "all.h"\nint {name}(int x) {{ int s = {i};\n'
        body += "".join(
            f"    if (x % {k + 2} == {(i + k) % (k + 2)}) s += {name[0:4]}_{k}(x) * {k};\n" for k in range(20)
        )
        helpers = "".join(f"static inline int part_{k}(int x) {{ return x * {k} % 1009; }}\n" for k in range(20))
        (made / f"{name}.c").write_text(f"#include <stdio.h>\n#include <stdlib.h>\n{helpers}{body}    return s;\n}}\n")
    (made / "all.h").write_text("#pragma once\n" + "".join(f"int {n}(int);\n" for n in names))
    calls = " + ".join(f"{n}(i)" for n in names)
    loop = f"for (int i = 0; i < 1000; i++) s += {calls};"
    body = f'long s = 0; {loop} printf("%ld\\n", s); return 0;'
    (made / "main.c").write_text(f'#include "all.h"\n#include <stdio.h>\nint main(void) {{ {body} }}\n')
    (made / "Makefile").write_text(
        "CFLAGS = -O1 -g -Wall -MMD\nsources = $(sort $(wildcard part*.c))\n"
        "prog: main.o libparts.a\n\t$(CC) -o $@ $^\n"
        "libparts.a: $(sources:.c=.o)\n\trm -f $@\n\tar rcD $@ $^\n-include $(sources:.c=.d)\n"
        "clean:\n\trm -f *.o *.a *.d prog\n"
    )


@case("make-parallel", programs="make gcc", quick=True, prepare=generated_project)
def _(t):
    """make -j2 of a generated project of forty C files, then nothing to do, then a change"""
    t.shell(
        f"cp {t.input}/* .; make -s -j2; ./prog; make -j2; touch -d '+1 hour' part7.c; make -n; make -s -j2; "
        f"./prog",
    )
    t.digest("libparts.a", "prog")


@case("make-this-repository", programs="git cmake make gcc", files=(str(REPOSITORY / ".git"),), timeout=900)
def _(t):
    """cmake and make -j2 of this repository's library at HEAD"""
    t.shell(f"git -c safe.directory='*' -C {REPOSITORY} archive HEAD | tar x", show="err")
    t.shell("cmake -B b -DALLOT_TESTS=OFF -DALLOT_BENCH=OFF . > log; make -s -C b -j2", show="err")
    t.shell("find b/lib b/bin -type f | sort | xargs sha256sum")


@case("make-googletest", programs="cmake make g++", files=("/usr/src/googletest/CMakeLists.txt",), timeout=900)
def _(t):
    """cmake and make -j2 of googletest with its samples, then the samples run"""
    t.shell(
        "cp -r /usr/src/googletest src; cmake -S src -B b -Dgtest_build_samples=ON > log; make -s -C b -j2",
        show="err",
    )
    t.shell(
        "find b -name '*.a' | sort | xargs sha256sum; for s in b/googletest/sample?_unittest; "
        "do $s --gtest_print_time=0; done",
    )


@case(
    "make-binutils",
    programs="make gcc bison flex makeinfo",
    files=("/usr/src/binutils/binutils-*.tar.xz",),
    timeout=2400,
)
def _(t):
    """configure and make -j2 of binutils' assembler and linker, then the new assembler at work"""
    t.shell("tar xf /usr/src/binutils/binutils-*.tar.xz; mv binutils-* src; mkdir b")
    flags = (
        "--disable-nls --disable-gdb --disable-gold --disable-gprofng --disable-werror --enable-deterministic-archives"
    )
    t.shell(f"cd b; CFLAGS=-O1 ../src/configure {flags} > log 2>&1; make -s -j2 all-gas all-ld > log 2>&1")
    t.shell("sha256sum b/gas/as-new b/ld/ld-new b/bfd/.libs/libbfd.a b/opcodes/.libs/libopcodes.a")
    t.run("b/gas/as-new", "-o", "x.o", stdin="\t.text\nf:\tmov %rdi, %rax\n\tret\n")
    t.digest("x.o")


@case("rustc", programs="rustc")
def _(t):
    """rustc compiling a program of maps, strings, threads and channels, optimised; it runs"""
    t.run("rustc", "--edition=2021", "-C", "opt-level=2", PROGRAMS / "words.rs", "-o", "w")
    t.digest("w")
    t.run("./w")


@case("rustc-quick", programs="rustc", quick=True)
def _(t):
    """rustc compiling the same program, unoptimised; it runs"""
    t.run("rustc", "--edition=2021", PROGRAMS / "words.rs", "-o", "w")
    t.digest("w")
    t.run("./w")


@case("cargo", programs="cargo rustc", files=(CRATES,), timeout=900)
def _(t):
    """cargo building regex and its own dependencies from Debian's crates, two jobs, then tests"""
    t.write("c/Cargo.toml", '[package]\nname = "c"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nregex = "1"\n')
    t.write(
        "c/.cargo/config.toml",
        '[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "/usr/share/cargo/registry"\n',
    )
    t.write("c/src/main.rs", (PROGRAMS / "patterns.rs").read_text())
    for command in ("build", "test"):
        t.run("cargo", command, "--offline", "-j2", "-q", cwd=t.dir / "c", show="err")
    t.run("c/target/debug/c")


@case("java", programs="java javac", timeout=600)
def _(t):
    """javac, then a program that allocates gigabytes under three collectors, with threads and direct buffers"""
    t.run("javac", "-d", ".", PROGRAMS / "Churn.java")
    for collector in ("-XX:+UseSerialGC", "-XX:+UseParallelGC", "-XX:+UseG1GC"):
        t.run("java", collector, "-Xmx256m", "-cp", ".", "Churn", "60")


@case("java-hello", programs="java javac", quick=True)
def _(t):
    """javac and a short run"""
    t.run("javac", "-J-Xshare:auto", "-d", ".", PROGRAMS / "Churn.java")
    t.run("java", "-Xmx128m", "-cp", ".", "Churn", "2")


@case("ocaml", programs="ocamlc ocamlopt", quick=True)
def _(t):
    """ocamlc and ocamlopt; byte code and native code run"""
    t.write(
        "m.ml",
        """
        module M = Map.Make (String)
        let rec fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)
        let () =
          let m = ref M.empty in
          for i = 0 to 100000 do
            let k = Printf.sprintf "k%d" (i * 7919 mod 5003) in
            m := M.update k (function None -> Some [i] | Some l -> Some (i :: l)) !m
          done;
          Gc.compact ();
          Printf.printf "%d %d %d\\n" (M.cardinal !m) (List.length (M.find "k5" !m)) (fib 25);
          let b = Bigarray.(Array1.create float64 c_layout 1000000) in
          Bigarray.Array1.fill b 2.0;
          let b2 = Buffer.create 1 in
          for i = 0 to 200000 do Buffer.add_string b2 (string_of_int i) done;
          Printf.printf "%f %d\\n" b.{77} (Buffer.length b2)
    """,
    )
    t.run("ocamlc", "m.ml", "-o", "m.byte")
    t.run("ocamlopt", "m.ml", "-o", "m.native")
    t.run("./m.byte")
    t.run("./m.native")
    t.digest("m.cmo", "m.byte")
