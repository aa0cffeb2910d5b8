/* Readers of traces: what each format's lines become, text that is the same when it is read back, and what is said of broken files. */
#include "common/unit.h"

#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "trace/alive.h"
#include "trace/live.h"
#include "trace/tables.h"
#include "trace/text.h"

static int file_of(const void *bytes, size_t length, char path[32])
{
    int fd = memfd_create("trace", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

struct outcome {
    char *text; /* the trace as text; NULL: it could not be opened */
    struct trace_about about;
    int answer; /* of the last trace_next, or -1 */
    struct trace_error error;
};

static struct outcome read_bytes(const void *bytes, size_t length)
{
    struct outcome out = {.answer = -1};
    char path[32];
    size_t text_length;
    int fd = file_of(bytes, length, path);
    struct trace *trace = trace_open(path, &out.error);

    if (trace) {
        struct text_writer writer;
        struct trace_event event;
        FILE *to = open_memstream(&out.text, &text_length);
        text_begin(&writer, to, trace_about(trace));
        while ((out.answer = trace_next(trace, &event, &out.error)) > 0) {
            text_event(&writer, trace, &event);
        }
        text_end(&writer, trace_about(trace));
        fclose(to);
        out.about = *trace_about(trace);
        out.about.command = NULL; /* ends with the trace */
        trace_close(trace);
    }
    close(fd);
    return out;
}

static struct outcome read_text(const char *text) { return read_bytes(text, strlen(text)); }

static void is_read_as(const char *file, const char *format, const char *text)
{
    struct outcome out = read_text(file);

    if (out.answer != 0) {
        print_error("%s\n", out.error.line);
    }
    assert_int_equal(out.answer, 0);
    assert_string_equal(out.about.format, format);
    assert_string_equal(out.text, text);
    struct outcome again = read_text(out.text);
    assert_int_equal(again.answer, 0);
    assert_string_equal(again.text, text);
    free(out.text);
    free(again.text);
}

static const char everything[] = "allot-text 1 addresses times stacks\n"
                                 "command ./app%20-x%25\n"
                                 "began 1700000000\n"
                                 "process 1 0 ./app\n"
                                 "m 1 0x1000 0x9000 0x800 0123abcd /usr/bin/app\n"
                                 "s 1 0 #1+0x1234 fn=main at=a.c:12\n"
                                 "s 2 1 #1+0x10 pc=0x7f00\n"
                                 "s 3 0 0x4711\n"
                                 "s 4 2 ? fn=f%20oo\n"
                                 "a 0x1000 100 t=7 @10 s=2\n"
                                 "before 0x5000 64\n"
                                 "a 0x2000 64 align=64 @20\n"
                                 "r 0x1000 200 to=0x3000 begun=15 @30\n"
                                 "r 0x3000 300 s=4\n"
                                 "a 0x6000 1 call=calloc\n"
                                 "failed 99999 call=realloc\n"
                                 "mark half%20way\n"
                                 "mark %\n"
                                 "thread worker t=7\n"
                                 "counters 4096 8192\n"
                                 "lost 3\n"
                                 "process 2 1 ./child\n"
                                 "f 0x2000 p=2\n"
                                 "verdict 0x3000 definite 300\n"
                                 "f 0x2000 @40\n"
                                 "exit itself\n"
                                 "exit unknown p=2\n"
                                 "cost 1 2\n"
                                 "truncated\n";

static void text_stays_the_same(void **state)
{
    (void)state;
    is_read_as(everything, "text", everything);
    struct outcome out = read_text(everything);
    assert_true(out.about.has_addresses && out.about.has_times && out.about.has_stacks && out.about.truncated);
    assert_int_equal(out.about.lost, 3);
    assert_int_equal(out.about.began, 1700000000);
    assert_int_equal(out.about.waited_ns, 1);
    assert_int_equal(out.about.collector_cpu_ns, 2);
    free(out.text);
}

static void text_by_hand(void **state)
{
    (void)state;
    is_read_as("# a comment\n\n"
               "s 1 0 main\r\n"
               "s 2 1 ./lib.so+0x10\n"
               "\ta 0 10 s=2\n"
               "a 12 1\n"
               "r 0 20 to=5\n"
               "f 12",
               "text",
               "allot-text 1 stacks\n"
               "m 1 0x0 0x0 0x0 - ./lib.so\n"
               "s 1 0 ? fn=main\n"
               "s 2 1 #1+0x10\n"
               "a 0 10 s=2\n"
               "a 12 1\n"
               "r 0 20 to=5\n"
               "f 12\n");
}

static void malloclab(void **state)
{
    (void)state;
    is_read_as("20000\n3\n6\n1\na 0 512\na 1 128\nr 0 640\nf 1\nf -1\nf 0\n", "malloclab",
               "allot-text 1\na 0 512\na 1 128\nr 0 640\nf 1\nf 0\n");
    struct outcome out = read_text("100\n1\n2\n1\na 0 8\n");
    assert_true(out.about.truncated);
    free(out.text);
}

static void heaptrack_raw(void **state)
{
    (void)state;
    is_read_as("v 10400 3\n"
               "x a ./my prog1\n"
               "X ./my prog1 -v\n"
               "I 1000 5e298d\n"
               "# a comment\n"
               "S 4 leak\n"
               "m 1 -\n"
               "m 1 x 5000 0 790 1000 28d\n"
               "m a /lib/l.so. 8000 0 1522\n"
               "t 50ff 0\n" /* of a byte within the call: it returns to 5100 */
               "t 8012 1\n"
               "+ 40 2 9000\n"
               "c a\n"
               "R 3e8\n"
               "- 9000\n"
               "- 9999\n"      /* from before: left out */
               "+ 10 1 9000\n" /* whose free is missing */
               "+ 20 2 9000\n"
               "m 1 -\n"
               "m 1 x 5000 0 790 1000 28d\n"
               "t 8012 0\n" /* not loaded any more */
               "+ 10 3 a000\n"
               "- a0", /* half a line */
               "heaptrack",
               "allot-text 1 addresses times stacks\n"
               "command ./my%20prog1%20-v\n"
               "m 1 0x5000 0x628d 0x5000 - ./my%20prog1\n"
               "m 2 0x8000 0x9522 0x8000 - /lib/l.so.\n"
               "s 1 0 #1+0x100\n"
               "s 2 1 #2+0x13\n"
               "a 0x9000 64 s=2\n"
               "counters 4096000 0 @10000000\n"
               "f 0x9000\n"
               "a 0x9000 16 s=1\n"
               "f 0x9000\n"
               "a 0x9000 32 s=2\n"
               "s 3 0 0x8013\n"
               "a 0xa000 16 s=3\n"
               "truncated\n");
    is_read_as("v 10400 3\n" /* one over another, and that one again: who was loaded last counts */
               "x 1 p\n"
               "X p\n"
               "m 2 /a 1000 0 1000\n"
               "m 2 /b 1800 0 100\n"
               "t 187f 0\n"
               "m 2 /a 1000 0 1000\n"
               "t 187f 0\n"
               "m 2 /a 1400 0 1000\n" /* an object of that name elsewhere is another */
               "t 187f 0\n"
               "t 13fe 0\n"
               "t 13ff 0\n"
               "+ 1 1 10\n+ 1 2 20\n+ 1 3 30\n+ 1 4 40\n+ 1 5 50\n",
               "heaptrack",
               "allot-text 1 addresses times stacks\n"
               "command p\n"
               "m 1 0x1000 0x2000 0x1000 - /a\n"
               "m 2 0x1800 0x1900 0x1800 - /b\n"
               "m 3 0x1400 0x2400 0x1400 - /a\n"
               "s 1 0 #2+0x80\n"
               "s 2 0 #1+0x880\n"
               "s 3 0 #3+0x480\n"
               "s 4 0 #1+0x3ff\n"
               "s 5 0 #1+0x400\n"
               "a 0x10 1 s=1\n"
               "a 0x20 1 s=2\n"
               "a 0x30 1 s=3\n"
               "a 0x40 1 s=4\n"
               "a 0x50 1 s=5\n");
    struct outcome out = read_text("v 10400 3\nx 1 p\nX p\n+ 1 0 10\n+ 1 0 10\n- 20\n- 30\n");
    assert_int_equal(out.about.lost, 1);
    assert_int_equal(out.about.unmatched, 2);
    free(out.text);
}

static void heaptrack_raw_version_1(void **state)
{
    (void)state;
    is_read_as("v 10200\n"
               "x /usr/bin/p\n"
               "X p\n"
               "m x 400000 0 1000\n"
               "t 400100 0\n"
               "+ 8 1 600010\n"
               "- 600010\n",
               "heaptrack",
               "allot-text 1 addresses times stacks\n"
               "command p\n"
               "m 1 0x400000 0x401000 0x400000 - /usr/bin/p\n"
               "s 1 0 #1+0x100\n"
               "a 0x600010 8 s=1\n"
               "f 0x600010\n");
}

static void heaptrack_final(void **state)
{
    (void)state;
    is_read_as("v 10400 3\n"
               "X ./p -v\n"
               "I 1000 5e298d\n"
               "s 6 /bin/p\n"
               "s 4 main\n"
               "s 3 a.c\n"
               "s 1 g\n"
               "i 5100 1 4 3 7 2 3 9\n" /* g, inlined into main */
               "t 1 0\n"
               "i 6100 0\n"
               "t 2 1\n"
               "a 40 1\n"
               "+ 0\n"
               "a 10 2\n"
               "+ 1\n"
               "+ 0\n"
               "c a\n"
               "R 10\n"
               "- 0\n"
               "- 1\n"
               "+ 1\n",
               "heaptrack",
               "allot-text 1 times stacks\n"
               "command ./p%20-v\n"
               "m 1 0x0 0x0 0x0 - /bin/p\n"
               "s 1 0 #1+0x5101 fn=main at=a.c:9\n"
               "s 2 1 #1+0x5101 fn=g at=a.c:7\n"
               "s 3 2 0x6101\n"
               "a 1 64 s=2\n"
               "a 2 16 s=3\n"
               "a 3 64 s=2\n"
               "counters 65536 0 @10000000\n"
               "f 3\n"
               "f 2\n"
               "a 2 16 s=3\n");
}

static void mtrace(void **state)
{
    (void)state;
    is_read_as("= Start\n"
               "@ /bin/prog:(main+0x1c)[0x11c9] + 0x5500 0x10\n"
               "@ /bin/prog:[0x11e0] < 0x5500\n"
               "@ /bin/prog:[0x11e0] > 0x5520 0x20\n"
               "@ /bin/prog:[0x11ee] - 0x5520\n"
               "@ [0x40] + 0x5520 0\n"
               "@ /a b/l.so:(g-0x1)[0x4] + 0x5520 0x30\n" /* its free is missing */
               "@ /bin/prog:[0x11e0] ! 0x5520 0x99\n"
               "@ /bin/prog:[0x11ee] - 0x1230\n" /* from before */
               "@ /bin/prog:[0x11e0] < 0x1230\n"
               "@ /bin/prog:[0x11e0] > 0x1250 0x1\n"
               "= End\n",
               "mtrace",
               "allot-text 1 addresses stacks\n"
               "m 1 0x0 0x0 0x0 - /bin/prog\n"
               "s 1 0 #1+0x11c9 fn=main\n"
               "a 0x5500 16 s=1\n"
               "s 2 0 #1+0x11e0\n"
               "r 0x5500 32 to=0x5520 s=2\n"
               "s 3 0 #1+0x11ee\n"
               "f 0x5520\n"
               "s 4 0 0x40\n"
               "a 0x5520 0 s=4\n"
               "m 2 0x0 0x0 0x0 - /a%20b/l.so\n"
               "s 5 0 #2+0x4 fn=g\n"
               "f 0x5520\n"
               "a 0x5520 48 s=5\n"
               "failed 153 call=realloc s=2\n"
               "a 0x1250 1 call=realloc s=2\n");
}

static const char dhat[] =
    "{\"dhatFileVersion\":2,\"mode\":\"heap\",\"cmd\":\"./p\",\"pps\":["
    "{\"tb\":190,\"tbk\":4,\"mb\":90,\"mbk\":1,\"gb\":80,\"gbk\":2,\"eb\":10,\"ebk\":1,\"fs\":[1,2,3]},"
    "{\"tb\":5,\"tbk\":1,\"tl\":1,\"fs\":[1,4,3]}],"
    "\"ftbl\":[\"[root]\",\"0x48: malloc (in /usr/libexec/valgrind/vgpreload_dhat-amd64-linux.so)\","
    "\"0x10: f(int, char (*)(int)) (a b.c:4)\",\"0x20: main (in /bin/p)\",\"0x30: ???\"]}";

static void dhat_profile(void **state)
{
    (void)state;
    char path[32];
    struct trace_error error;
    struct trace_event event;
    uint32_t count, frames, modules;
    int fd = file_of(dhat, sizeof dhat - 1, path);
    struct trace *trace = trace_open(path, &error);

    assert_non_null(trace);
    assert_true(trace_about(trace)->is_profile);
    assert_int_equal(trace_next(trace, &event, &error), 1);
    assert_int_equal(event.op, TRACE_PROCESS);
    assert_string_equal(event.text, "./p");
    assert_int_equal(trace_next(trace, &event, &error), 0);
    const struct trace_total *total = trace_totals(trace, &count);
    assert_int_equal(count, 2);
    assert_int_equal(total[0].bytes, 190);
    assert_int_equal(total[0].allocs, 4);
    assert_int_equal(total[0].own_peak_bytes, 90);
    assert_int_equal(total[0].peak_bytes, 80);
    assert_int_equal(total[0].peak_blocks, 2);
    assert_int_equal(total[0].left_bytes, 10);
    assert_int_equal(total[0].left_blocks, 1);
    assert_int_equal(total[1].bytes, 5);
    const struct trace_node *node = trace_nodes(trace, &count);
    const struct trace_frame *frame = trace_frames(trace, &frames);
    const struct trace_frame *inner = &frame[node[total[0].stack].frame];
    assert_string_equal(inner->function, "f(int, char (*)(int))");
    assert_string_equal(inner->file, "a b.c");
    assert_int_equal(inner->line, 4);
    assert_int_equal(inner->pc, 0x10);
    assert_null(frame[node[total[1].stack].frame].function);
    uint32_t parent = node[total[0].stack].parent;
    assert_int_equal(node[total[1].stack].parent, parent);
    assert_int_equal(node[parent].parent, 0);
    const struct trace_module *module = trace_modules(trace, &modules);
    assert_string_equal(module[frame[node[parent].frame].module].path, "/bin/p");
    trace_close(trace);
    close(fd);
}

static void one_line_names_the_byte(void **state)
{
    (void)state;
    static const struct {
        const char *file, *says;
    } broken[] = {
        {"a 1 10\na 1 20\n", "a block lives there already: '1' in line 2, byte 9,"},
        {"a 1 10\nf 2\n", "no such block is live: '2' in line 2, byte 9,"},
        {"a 1 10\nf 1\nf 1\n", "no such block is live: '1' in line 3, byte 13,"},
        {"a 1 10\nr 2 20\n", "no such block is live: '2' in line 2, byte 9,"},
        {"a 1 10\na 2 10\nr 1 20 to=2\n", "a block lives there already: '1' in line 3,"},
        {"a 1 10\na 2 x\n", "no size: 'x' in line 2, byte 11,"},
        {"a 1 10\na 2\n", "no size: in line 2, byte 10,"},
        {"a 1 99999999999999999999\n", "no size: '99999999999999999999' in line 1, byte 4,"},
        {"a 1 10 s=1\n", "what is 's=1' in line 1, byte 7,"},
        {"a 1 10 @5\nf 1 @4\n", "time runs backwards to '@4' in line 2, byte 14,"},
        {"a 0x1000000000000 10\n", "too large a block's number or address: '0x1000000000000' in line 1, byte 2,"},
        {"a 17592186044415 10\n", "too large a block's number or address: '17592186044415' in line 1, byte 2,"},
        {"a 0x10 10\na 2 10\n", "a number where blocks have addresses: '2' in line 2, byte 12,"},
        {"a 1 10\na 0x20 10\n", "an address where blocks have numbers: '0x20' in line 2, byte 9,"},
        {"a 1 10 align=48\n", "what is 'align=48' in line 1, byte 7,"},
        {"f 1 to=2\n", "that does not belong to it: 'to=2' in line 1, byte 4,"},
        {"s 2 0 main\n", "stacks are not numbered 1, 2, 3 ..."},
        {"s 1 1 main\n", "no stack that this one was called from: '1' in line 1, byte 4,"},
        {"s 1 0 #1+0x10\n", "no such module: '#1+0x10' in line 1, byte 6,"},
        {"a 1 10\nxyzzy\n", "what is 'xyzzy' in line 2, byte 7,"},
        {"10\n2\n2\n1\na 0 8\na 5 8\n", "beyond those that line 2 announces: '5' in line 6, byte 17,"},
        {"10\n2\n1\n1\na 0 8\nf 0\n", "more lines than line 3 announces: 'f' in line 6, byte 15,"},
        {"v 10400 4\nx 1 p\n", "heaptrack's format 4 is none of 1 to 3"},
        {"v 10400 3\nx 1 p\nX p\nt zz 0\n", "no address: 'zz' in line 4, byte 22,"},
        {"v 10400 3\nx 1 p\nX p\n+ 8 7 10\n", "no stack: '7' in line 4, byte 24,"},
        {"v 10400 3\nx 1 p\nX p\n+ 8 0 0\n", "an allocation at address 0: '+' in line 4, byte 20,"},
        {"v 10400 3\nx 1 p\nX p\n+ 8 0 1000000000000\n", "no address: '1000000000000' in line 4, byte 26,"},
        {"= Start\n@ p:[0x1] + 0x1000000000000 1\n", "a block at address '0x1000000000000' in line 2, byte 20,"},
        {"v 10400 3\nx 99 p\nX p\n", "a text beyond the line's end: '99' in line 2, byte 12,"},
        {"v 10400 3\nX p\ns 1 p\n- 3\n", "an allocation that was not described: '3' in line 4, byte 22,"},
        {"= Start\n@ p:[0x1] ? 0x10\n", "what is '?' in line 2, byte 18,"},
        {"= Start\n@ p:[0x1] < 0x10\n@ p:[0x1] > 0 1\n", "a block at address '0' in line 3, byte 37,"},
        {"= Start\n@ p:[0x1] + zz 1\n", "no address: 'zz' in line 2, byte 20,"},
        {"{\"dhatFileVersion\":2,]", "broken JSON (a key, a value, a comma or an end is missing) in line 1, byte 21,"},
        {"{\"dhatFileVersion\":2,\"mode\":\"heap\",\n\"pps\":[{\"tb\":1,\"tbk\":1,\"fs\":[]} {}],\"ftbl\":[]}",
         "broken JSON (an entry of pps, a comma or an end is missing) in line 2, byte 68,"},
        {"{\"dhatFileVersion\":2,\"mode\":\"heap\",\"pps\":[{\"tb\":1,,}],\"ftbl\":[]}",
         "broken JSON (string or '}' expected"},
        {"{\"dhatFileVersion\":2,\"mode\":\"heap\",\"pps\":[],\"pps\":[],\"ftbl\":[]}",
         "broken JSON (a key that comes twice) in line 1, byte 45,"},
        {"{\"dhatFileVersion\":2,\"mode\":\"heap\",\"pps\":[{\"tb\":1,\"tbk\":1,\"fs\":[1]}],\"ftbl\":[\"\",7]}",
         "a call that is no text in ftbl, pps[0],"},
        {"{\"dhatFileVersion\":2,\"mode\":\"heap\",\"pps\":[],\"ftbl\":[\"a",
         "broken JSON (a key, a value, a comma or an end is missing)"},
        {"{\"dhatFileVersion\":2,\"mode\":\"heap\",\"pps\":{},\"ftbl\":[]}", "no heap profile of DHAT's version 2,"},
        {"{\"dhatFileVersion\":2,\"mode\":\"heap\",\"pps\":[{\"tb\":1,\"tbk\":-1,\"fs\":[]}],\"ftbl\":[]}",
         "no number 'tbk', pps[0],"},
        {"{\"dhatFileVersion\":2,\"mode\":\"heap\",\"pps\":[{\"tb\":1,\"tbk\":1,\"fs\":[7]}],\"ftbl\":[]}",
         "a call that is not in ftbl, pps[0],"},
        {"", "an empty file,"},
        {"PNG whatever\n", "no trace in any format that allot reads,"},
    };

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct outcome out = read_text(broken[i].file);
        if (out.answer != -1) {
            fail_msg("read '%s'", broken[i].file);
        }
        if (!strstr(out.error.line, broken[i].says) || !strstr(out.error.line, ", /proc/self/fd/")) {
            fail_msg("said '%s', not '%s'", out.error.line, broken[i].says);
        }
        free(out.text);
    }
}

static void long_lines_are_refused(void **state)
{
    (void)state;
    size_t length = (size_t)3 << 20;
    char *text = malloc(length);
    memset(text, 'x', length);
    memcpy(text, "a 1 10\nmark ", 12);
    struct outcome out = read_bytes(text, length);
    assert_int_equal(out.answer, -1);
    assert_non_null(strstr(out.error.line, "a line of more than 1048576 bytes, line 2, byte 7,"));
    free(out.text);
    free(text);
}

static size_t pack_gzip(unsigned char *to, size_t room, const char *text)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)text;
    z.avail_in = (unsigned)strlen(text);
    z.next_out = to;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

static size_t pack_zstd(unsigned char *to, size_t room, const char *text)
{
    size_t bytes = ZSTD_compress(to, room, text, strlen(text), 1);
    assert_false(ZSTD_isError(bytes));
    return bytes;
}

static size_t pack_xz(unsigned char *to, size_t room, const char *text)
{
    size_t bytes = 0;
    assert_int_equal(
        lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, (const uint8_t *)text, strlen(text), to, &bytes, room),
        LZMA_OK);
    return bytes;
}

/* Read as it would be unpacked; two of them in a row as one; cut, up to there; and broken in the middle, with the place named. */
static void packed(void **state)
{
    (void)state;
    static size_t (*const packers[])(unsigned char *, size_t, const char *) = {pack_gzip, pack_zstd, pack_xz};
    char *long_text, *plain;
    size_t length;
    FILE *to = open_memstream(&long_text, &length);
    for (unsigned i = 0; i < 20000; i++) {
        fprintf(to, "a %u %u\n", i, i * 2654435761u);
    }
    fclose(to);
    struct outcome whole = read_text(long_text);
    assert_int_equal(whole.answer, 0);
    plain = whole.text;

    for (size_t i = 0; i < 3; i++) {
        static unsigned char out[1 << 20];
        size_t bytes = packers[i](out, sizeof out, long_text);
        struct outcome again = read_bytes(out, bytes);
        assert_int_equal(again.answer, 0);
        assert_false(again.about.truncated);
        assert_int_equal(again.about.read, bytes);
        assert_string_equal(again.text, plain);
        free(again.text);

        size_t more = bytes + packers[i](out + bytes, sizeof out - bytes, "f 7\nf 8\n");
        again = read_bytes(out, more);
        assert_int_equal(again.answer, 0);
        assert_int_equal(again.about.events, 20002);
        assert_false(again.about.truncated);
        free(again.text);

        again = read_bytes(out, bytes / 2);
        assert_int_equal(again.answer, 0);
        assert_true(again.about.truncated);
        assert_in_range(again.about.events, i == 0 ? 5000 : 0, 15000); /* zstd and xz have larger blocks */
        free(again.text);

        memset(out + bytes / 2, 0x5a, 64);
        again = read_bytes(out, bytes);
        assert_int_equal(again.answer, -1);
        assert_non_null(strstr(again.error.line, "byte ")); /* of the text, where that shows it first */
        free(again.text);
    }
    free(plain);
    free(long_text);
}

static uint64_t next_random(uint64_t *seed) { return *seed = *seed * 6364136223846793005u + 1442695040888963407u; }

static void hash_of_two(void **state)
{
    (void)state;
    struct live live = {0};
    static uint64_t value[4096]; /* by address: what is there, 0 nothing */
    uint64_t seed = 1;
    size_t count = 0;

    for (int i = 0; i < 200000; i++) {
        uint64_t random = next_random(&seed), at = random >> 40 & 4095;
        struct live_slot *slot = live_find(&live, 1 + (at & 1), at << 4);
        assert_int_equal(slot ? slot->value : 0, value[at]);
        if (slot) {
            live_remove(&live, slot);
            value[at] = 0;
            count--;
        } else {
            value[at] = random | 1;
            assert_non_null(live_add(&live, 1 + (at & 1), at << 4, value[at]));
            count++;
        }
        assert_int_equal(live.count, count);
    }
    live_done(&live);
}

static void live_blocks(void **state)
{
    (void)state;
    struct alive alive = {0};
    static bool lives[2][4096];
    uint64_t seed = 1;

    for (int i = 0; i < 400000; i++) {
        uint64_t random = next_random(&seed), at = random >> 40 & 4095;
        uint32_t process = 1 + (random >> 60 & 1);
        bool *here = &lives[process - 1][at];
        assert_int_equal(alive_is(&alive, process, (at + 1) << 4), *here ? ALIVE_YES : ALIVE_NO);
        if (*here) {
            alive_ends(&alive, process, (at + 1) << 4);
        } else {
            alive_begins(&alive, process, (at + 1) << 4);
        }
        *here = !*here;
    }
    alive_done(&alive);
}

/* A trace of any size is read in bounded memory: of too many blocks at once nothing is known. */
static void too_many_live_blocks(void **state)
{
    (void)state;
    struct alive alive = {0};

    for (uint64_t at = 1; at <= ALIVE_MOST; at++) {
        alive_begins(&alive, 1, at << 4);
    }
    assert_int_equal(alive_is(&alive, 1, 16), ALIVE_YES);
    assert_int_equal(alive_is(&alive, 1, (ALIVE_MOST + 1) << 4), ALIVE_NO);
    assert_true((alive.mask + 1) * sizeof *alive.slot <= (size_t)64 << 20);
    alive_begins(&alive, 1, (ALIVE_MOST + 1) << 4);
    assert_int_equal(alive_is(&alive, 1, 16), ALIVE_UNKNOWN);
    assert_null(alive.slot);
    alive_ends(&alive, 1, 16);
    alive_begins(&alive, 1, 16);
    assert_int_equal(alive_is(&alive, 1, 16), ALIVE_UNKNOWN);
    alive_done(&alive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stays_the_same),
        cmocka_unit_test(text_by_hand),
        cmocka_unit_test(malloclab),
        cmocka_unit_test(heaptrack_raw),
        cmocka_unit_test(heaptrack_raw_version_1),
        cmocka_unit_test(heaptrack_final),
        cmocka_unit_test(mtrace),
        cmocka_unit_test(dhat_profile),
        cmocka_unit_test(one_line_names_the_byte),
        cmocka_unit_test(long_lines_are_refused),
        cmocka_unit_test(packed),
        cmocka_unit_test(hash_of_two),
        cmocka_unit_test(live_blocks),
        cmocka_unit_test(too_many_live_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
