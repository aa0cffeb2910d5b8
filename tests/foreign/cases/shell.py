"""Shells, the core utilities and the small tools of a Unix machine."""

from inputs import noise, prose, tree, words
from table import ADDRESS, case


def texts(made):
    (made / "prose").write_text(prose(20000))
    (made / "other").write_text(prose(20000, seed=2))
    (made / "words").write_text("\n".join(words(400000)) + "\n")


def trees(made):
    tree(made / "tree", 400)
    (made / "noise").write_bytes(noise(1 << 20))
    (made / "prose").write_text(prose(15000))


def forks(t, times):
    t.shell(f"for ((i = 0; i < {times}; i++)); do x=$(echo $i); sum=$((sum + x)); done; echo $sum")
    t.shell(f"for ((i = 0; i < {times // 4}; i++)); do (exit $((i % 7))) || ((bad++)) || :; done; echo $bad")
    t.shell(f"for ((i = 0; i < {times // 10}; i++)); do sh -c 'echo $0 | cat' $i; done | sort -n | cksum")
    t.shell("for i in {1..300}; do (echo $i) & done; wait; echo done", show="err")


@case("bash-forks", quick=True)
def _(t):
    """bash forking some thousand times: substitutions, subshells, pipelines, background jobs"""
    forks(t, 1500)


@case("bash-forks-long", timeout=900)
def _(t):
    """the same, thirty thousand times"""
    forks(t, 30000)


@case("bash-data", quick=True)
def _(t):
    """bash's arrays, associative arrays, strings, patterns, coprocesses and process substitution"""
    t.shell(
        """
        declare -A count
        for ((i = 0; i < 20000; i++)); do a[i]=$((i * 7919 % 10007)); ((++count[k$((a[i] % 500))])); done
        for k in "${!count[@]}"; do echo "$k ${count[$k]}"; done | sort | cksum
        s=; for ((i = 0; i < 3000; i++)); do s+="$i,"; done; echo "${#s} ${s//1/one}" | cksum
        unset 'a[100]'; echo "${#a[@]} ${a[*]:50:60}"; printf '%s\\n' "${a[@]/#1/x}" | cksum
        coproc { while read -r line; do echo "got $line"; done; }
        for w in alpha beta gamma; do echo $w >&"${COPROC[1]}"; read -r back <&"${COPROC[0]}"; echo "$back"; done
        mapfile -t lines < <(seq 1 5000); echo "${#lines[@]} ${lines[4999]}"
        diff <(seq 1 10) <(seq 2 11) || true
        f() { (($1 == 0)) && return; local v="depth $1"; f $(($1 - 1)); }; f 400; echo deep
    """
    )


@case("dash", quick=True)
def _(t):
    """dash: loops, functions, here-documents, subshells"""
    t.run(
        "dash",
        "-euc",
        """
        i=0; s=; while [ $i -lt 4000 ]; do s="$s $i"; i=$((i + 1)); done; set -- $s; echo $# ${#s}
        f() { [ "$1" -eq 0 ] && return; f $(($1 - 1)); }; f 500
        for w in a b c; do cat <<END; done
$w $i $(echo "$w" | tr a-z A-Z)
END
    """,
    )


@case("coreutils", quick=True, prepare=texts)
def _(t):
    """sort --parallel, join, uniq, comm, split, od, pr, fmt, factor, shuf and the checksums"""
    p, o, w = t.input / "prose", t.input / "other", t.input / "words"
    t.shell(f"sort --parallel=2 -S 1M {w} | uniq -c | sort -rn -k1,1 -k2 | head -2000")
    t.shell(
        f"sort --parallel=4 -u -k3,3 -k11n {p} | cksum; sort -R --random-source={o} {p} | cksum; "
        f"sort -V {o} | cksum",
    )
    t.shell(
        f"join <(sort -u -k1,1 {p}) <(sort -u -k1,1 {o}) | cksum; "
        f"comm -12 <(sort {w} | uniq) <(sort {p} | uniq) | cksum",
    )
    t.shell(f"split -l 1000 {p} part.; cat part.* | cmp - {p}; csplit -s {o} 100 '{{20}}'; wc -l xx* | tail -1")
    t.shell(
        f"tac {p} | rev | cksum; od -tx1z {p} | tail -3; pr -3 -l 60 {p} | sed /Page/d | cksum; "
        f"fmt -w 50 {p} | cksum",
    )
    t.shell(
        f"factor {{1000000000..1000000200}} 18446744073709551557; shuf --random-source={w} -n 5 {p}; "
        f"nl {p} | tail -1",
    )
    t.shell(
        f"md5sum < {p}; sha256sum < {p}; b2sum < {p}; base64 {p} | cksum; "
        f"expand {p} | cut -d' ' -f2,5 | paste -s | cksum",
    )
    t.shell(
        "seq 1 200000 | awk '{print $1 % 977}' | sort -n | uniq -c | cksum; "
        "tsort < <(tr ' ' '\\n' < <(seq 1 400)) | tail -1",
    )
    t.run("numfmt", "--to=iec", "1024", "1000000", "123456789")
    t.run("ls", "/nonexistent", want=2)


@case("text-tools", programs="mawk grep sed diff patch", quick=True, prepare=texts)
def _(t):
    """grep, sed, mawk, diff and patch over generated prose"""
    p, o = t.input / "prose", t.input / "other"
    t.shell(
        f"grep -c -E '(ba|ce)+di' {p}; " f"grep -o -w -E '[a-z]*fo[a-z]*' {p} | sort | uniq -c | sort -rn | head -20",
    )
    t.shell(
        f"grep -P '(?<=gu)ka.*\\d{{5}}$' {p} | cksum; grep -F -f <(head -500 {o} | cut -d' ' -f1-3) {p} | cksum",
    )
    t.shell(
        f"sed -E 's/([a-z]+) ([a-z]+)/\\2 \\1/g; /9$/d; 1~50{{h;G}}' {p} | cksum; sed -n '$!{{h;d}};H;x;p' {o}",
    )
    t.shell(
        f"mawk '{{for (i = 1; i < NF; i++) n[$i]++}} END {{for (w in n) print n[w], w}}' {p} | sort | cksum",
    )
    t.shell(
        f'mawk \'{{s = s $1; if (length(s) > 10000) s = ""; gsub(/a/, "<&>"); '
        f"t += length($0)}} END {{print t, length(s)}}' {p}",
    )
    t.shell(
        f"head -3000 {p} > a; sed '7~11d; s/ba/BA/' a > b; diff -u a b > d || true; tail -n +3 d | cksum; "
        f"patch -s a d; cmp a b",
    )
    t.shell(f"diff -y -W 90 <(head -400 {p}) <(head -400 {o}) | cksum")


@case("gawk", programs="gawk", quick=True, prepare=texts)
def _(t):
    """gawk: associative arrays, asort, regular expressions, big integers, a coprocess"""
    program = r"""
        { for (i = 1; i <= NF; i++) n[$i][NR % 10]++; line[NR] = $0 }
        END {
            for (w in n) { k = 0; for (d in n[w]) k += n[w][d]; sum[w] = k }
            c = asorti(sum, names); for (i = 1; i <= c; i += 97) print names[i], sum[names[i]]
            asort(line); print line[1]; print line[NR]
            for (i = 1; i < 2000; i++) { s = s sprintf("%c", 65 + i % 26); if (match(s, /XYZ(A+)B/, m)) hits++ }
            print length(s), hits
            cmd = "sort -r"; for (i = 0; i < 500; i++) print i |& cmd; close(cmd, "to")
            while ((cmd |& getline x) > 0) last = x; print last
        }"""
    t.run("gawk", program, t.input / "prose")
    t.run("gawk", "-M", "BEGIN { x = 1; for (i = 1; i <= 800; i++) x *= i; print x % (2 ^ 521 - 1), length(x) }")


@case("calculators", programs="bc dc m4", quick=True)
def _(t):
    """bc, dc and m4: pi, factorials, recursive macros"""
    t.run(
        "bc",
        "-l",
        stdin="scale=700; 4*a(1); e(1); define f(n){if(n<2)return 1; return n*f(n-1)}; f(400); 2^5000 % 10^40\n",
    )
    t.run("dc", stdin="[la 1 + d sa d * lb + sb la 9000 >x] sx 0 sa 0 sb lx x lb p 600 k 2 v p\n")
    t.run(
        "m4", stdin="define(`f',`ifelse($1,0,1,`eval($1%7)f(decr($1))')')f(400)\nforloop\ntranslit(f(90),`123',`abc')\n"
    )


@case("archives", programs="tar gzip bzip2 xz zstd cpio", quick=True, prepare=trees)
def _(t):
    """tar, cpio, gzip, bzip2, xz -T2, zstd -T2 and back"""
    t.shell(
        f"tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C {t.input} -cf a.tar tree prose noise; "
        f"tar tvf a.tar",
    )
    t.shell(
        "mkdir x; tar xf a.tar -C x; gzip -n9 < x/prose > p.gz; bzip2 < x/prose > p.bz2; "
        "gzip -dc p.gz | cmp - x/prose",
    )
    t.shell(
        "xz -T2 -2 --block-size=1MiB < a.tar > a.xz; xz -T2 -dc a.xz | cmp - a.tar; xz -l a.xz | sed 's/a.xz//'",
    )
    t.shell(
        "zstd -q -T2 -9 a.tar -o a.zst; zstd -q -19 --long --single-thread x/prose -o p.zst; "
        "zstd -qdc a.zst | cmp - a.tar",
    )
    t.shell(
        "cd x; find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible > ../c.cpio; cd ..; mkdir y; "
        "cd y; cpio -id --quiet < ../c.cpio",
    )
    t.shell("diff -r x y && rm -r y")
    t.digest("a.tar", "p.gz", "p.bz2", "a.xz", "a.zst", "p.zst", "x")


@case("ls-usr", quick=True)
def _(t):
    """ls -lR and find over /usr/share and /usr/lib"""
    t.run("ls", "-lR", "/usr/lib", "/usr/include")
    t.shell("find /usr/lib -newer /etc/hostname -o -name '*a*' -printf '%p %s %m\\n' | LC_ALL=C sort | cksum")


@case("ls-usr-all", timeout=900)
def _(t):
    """ls -lR /usr, find with every kind of test, du, a tar of it all"""
    t.run("ls", "-lR", "/usr")
    t.run("ls", "-laRZ", "--full-time", "-i", "--quoting-style=shell", "/usr/share")
    t.shell("find /usr -xdev \\( -perm -4000 -o -size +1M -o -regex '.*/[a-f]+' \\) -ls")
    t.run("du", "-a", "/usr/lib")
    t.shell(
        "tar -C /usr -cf - share/doc lib/python3* | cksum; "
        "grep -r -c -I malloc /usr/include | LC_ALL=C sort | cksum",
    )


@case("xargs-parallel", quick=True, prepare=texts)
def _(t):
    """xargs -P starting hundreds of short processes"""
    t.shell(f"cut -d' ' -f1 {t.input}/prose | head -4000 | xargs -P2 -n10 echo | tr ' ' '\\n' | sort | cksum")
    t.shell("seq 1 400 | xargs -P4 -I{} sh -c 'echo {} | sha1sum' | sort | cksum")


@case("file-strings", programs="file strings readelf objdump nm", quick=True)
def _(t):
    """file, nm, readelf, objdump and strings over system libraries"""
    libc = "/lib/x86_64-linux-gnu/libc.so.6"
    t.shell("find /usr/bin -type f | LC_ALL=C sort | head -150 | xargs file -L")
    t.shell(f"readelf -Wa {libc} | cksum; nm -D {libc} | cksum; strings -n 6 {libc} | cksum")
    t.shell("objdump -d /bin/ls | cksum; objdump -d -C /usr/bin/gdb 2>/dev/null | head -20000 | cksum")


@case("vim", programs="vim.basic", quick=True, prepare=texts)
def _(t):
    """vim -es: substitutions, sorting, undo, folds, a Vim script with lists and dictionaries"""
    t.write(
        "s.vim",
        r"""
        set nocompatible
        %s/ba\(\w*\)/<\1>/ge
        g/9$/m0
        3000,6000sort n
        undo
        redo
        let d = {}
        for i in range(20000)
            let d['k' . (i % 700)] = get(d, 'k' . (i % 700), []) + [i]
        endfor
        call append(0, map(sort(keys(d)), {_, k -> k . len(d[k])}))
        normal ggqaq
        normal qaddp3jq50@a
        write! out.txt
        quit!
    """,
    )
    t.run("vim.basic", "-u", "NONE", "-i", "NONE", "-n", "-es", "-S", "s.vim", t.input / "prose", want=None)
    t.digest("out.txt")


@case("emacs", programs="emacs")
def _(t):
    """emacs --batch: byte compilation, sorting, garbage collection"""
    t.write(
        "w.el",
        """
        (require 'cl-lib)
        (defun fib (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
        (with-temp-buffer
          (dotimes (i 30000) (insert (format "%d %s\\n" (mod (* i 7919) 10007) (make-string (mod i 60) ?x))))
          (sort-numeric-fields 1 (point-min) (point-max))
          (goto-char (point-min)) (while (re-search-forward "x\\\\{50\\\\}" nil t) (replace-match "fifty"))
          (message "%s" (secure-hash 'sha256 (current-buffer))))
        (let ((h (make-hash-table :test 'equal)))
          (dotimes (i 200000) (push i (gethash (format "k%d" (mod i 997)) h)))
          (garbage-collect) (message "%d %d" (hash-table-count h) (length (gethash "k5" h))))
        (message "%d" (fib 24))
    """,
    )
    t.run("emacs", "--batch", "-Q", "--eval", '(byte-compile-file "w.el")', show="none")
    t.run("emacs", "--batch", "-Q", "-l", "w.elc")
    t.run("emacs", "--batch", "-Q", "-l", "w.el")


@case("tmux", programs="tmux", files="/dev/pts/ptmx", quick=True)
def _(t):
    """tmux: a server, a few hundred lines through a pane, capture"""
    tmux = ("tmux", "-S", t.dir / "socket", "-f", "/dev/null")
    t.run(*tmux, "new-session", "-d", "-x", "100", "-y", "30", "sh")
    t.run(
        *tmux,
        "send-keys",
        "PS1=; clear; seq 1 500; printf '\\033[31mred\\033[0m\\n'; tmux -S socket wait-for -S done",
        "Enter",
    )
    t.run(*tmux, "wait-for", "done")
    t.run(*tmux, "split-window", "-h", "cat")
    t.run(*tmux, "capture-pane", "-p", "-e", "-S", "-200", "-t", "0.0", show="none")
    t.run(*tmux, "list-panes", "-F", "#{pane_index} #{pane_current_command} #{history_size}", show="err")
    t.run(*tmux, "kill-server")


@case("ssh-keygen", programs="ssh-keygen ssh-agent ssh-add", quick=True)
def _(t):
    """ssh-keygen: making, reading, signing and verifying with keys of four types; ssh-agent"""
    for kind, bits in (("ed25519", 0), ("ecdsa", 384), ("rsa", 2048), ("dsa", 0)):
        t.shell(f"ssh-keygen -q -t {kind} {f'-b {bits}' if bits else ''} -N pass -C me -f k-{kind}")
        t.shell(f"cmp <(ssh-keygen -y -P pass -f k-{kind} | cut -d' ' -f1,2) <(cut -d' ' -f1,2 k-{kind}.pub)")
        t.shell(f"ssh-keygen -q -p -P pass -N '' -f k-{kind}; ssh-keygen -l -f k-{kind} | cut -d' ' -f1,3-")
    t.shell(
        "echo hello > m; ssh-keygen -q -Y sign -n file -f k-ed25519 m 2>&1; "
        'echo "me $(cat k-ed25519.pub)" > allowed',
    )
    t.shell("ssh-keygen -Y verify -n file -I me -f allowed -s m.sig < m | cut -d' ' -f1-7")
    t.shell("ssh-agent sh -c 'ssh-add -q k-rsa k-ed25519 && ssh-add -l | wc -l'")


@case("jq", programs="jq", quick=True)
def _(t):
    """jq: building, grouping and sorting a hundred thousand values"""
    program = (
        '[range(100000) | {k: (. * 7919 % 1009), v: "v\\(.)"}] | group_by(.k)'
        ' | map({k: .[0].k, n: length, s: (map(.v) | join("") | length)})'
    )
    made = t.run("jq", "-n", program)
    t.run(
        "jq",
        "-c",
        "map(select(.n > 99)) | sort_by(-.s, .k) | .[:50] | [.[] | tojson | fromjson] | [paths] | length",
        stdin=made.out,
    )
    t.run("jq", ".", stdin="{broken", want=None)


@case("rsync", programs="rsync", quick=True, prepare=trees)
def _(t):
    """rsync: copy, delta transfer, delete"""
    t.shell(
        f"rsync -a {t.input}/ a/; rsync -a --checksum a/ b/; echo more >> a/prose; rm a/tree/d1/e1/*; "
        f"sed -i 5d a/prose",
    )
    t.shell("rsync -ai --no-whole-file --delete --no-times --omit-dir-times a/ b/ | cut -c1-2,12-; diff -r a b")
    t.digest("b")


@case("locale-tools", files=["/etc/services"], quick=True, normal=[ADDRESS])
def _(t):
    """iconv, locale, getent, id, env, printf: the small users of glibc's own allocations"""
    t.shell(
        "locale; locale charmap; getent passwd root; getent services http; id -u; printf '%q\\n' 'a b'; "
        "LC_ALL=xx_YY locale 2>&1 || :",
    )
    t.shell(
        "for c in UTF-16 UTF-32 ISO-8859-1 EUC-JP SHIFT_JIS; "
        "do echo 'grüße' | iconv -c -t $c//TRANSLIT | od -tx1; done",
    )
    t.shell("perl -e 'print \"x\" x 3000000' | fold -w 71 | tr x y | dd bs=3000 status=none | cksum")
    t.run("ldd", "/usr/bin/env", show="none")
