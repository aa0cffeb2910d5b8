/* allot pages - what each policy of replacement makes of a trace of page references, with so many frames.
 *
 *   file, or a program's references --> refs (pages/refs.h) --> every policy and size (pages/curves.h) --> text, JSON, a page
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "outfile.h"
#include "pages/record.h"
#include "pages/sizes.h"
#include "pages/tell.h"
#include "progress.h"
#include "words.h"

static const char help[] =
    "usage: allot pages [OPTION...] FILE\n"
    "       allot pages [OPTION...] -- PROGRAM [ARGUMENT...]\n"
    "\n"
    "Replays references to pages on every policy of replacement, and on the best that could be had\n"
    "(opt, Belady's), and says how many miss with so many frames. FILE, or - for standard input,\n"
    "has one id a line, or is a table, libCacheSim's oracleGeneral, or the output of valgrind's lackey;\n"
    "it may be packed by gzip, zstd or xz. With -- in front PROGRAM is run under valgrind, and all its\n"
    "references are recorded: it takes a thousand times as long.\n"
    "\n"
    "  -f, --frames=N,N...   so many frames: numbers, or shares of the pages like 0.1%; 20 sizes unless told\n"
    "  -P, --policies=NAMES  these only, in that order: opt gradual s3-fifo sieve arc clock lru fifo\n"
    "  -o, --output=PAGE     the curves as one HTML file that opens from disk\n"
    "  -j, --json            exact misses of each policy and size, for a machine to read\n"
    "      --format=FORMAT   of FILE: ids, csv, oracle or lackey; else it is seen\n"
    "  -c, --column=NAME     of a table: where its ids are, by name or number\n"
    "  -a, --addresses       ids are addresses: they are translated by a page table and a TLB, of which\n"
    "                        hits, walks and faults are counted\n"
    "      --page-size=SIZE  of addresses; 4K unless told\n"
    "      --table=N,N...    bits of the levels of the page table, the root's first; 9,9,9,9 unless told\n"
    "      --tlb=N/WAYS      so many entries; 64/4 unless told\n"
    "  -w, --window=N        references within bursts on up to N pages are not kept, which opt and lru do not\n"
    "                        notice with N frames or more; 16 for programs and lackey, 0 for others\n"
    "                        and with --addresses\n"
    "      --no-code         of programs and lackey: loads and stores only, no instructions\n"
    "      --limit=N         the first N references only\n"
    "      --trace=FILE      keep the references there, one a line\n"
    "      --levels=N        of gradual: levels from hot to cold, 2 to 8\n"
    "      --pace=N,N...     of gradual: how fast pages cool, for each level above the two coldest:\n"
    "                        pages in 256 that come; else it adapts\n"
    "      --fresh=N,M       of gradual: what is new has N to M of 256 frames\n"
    "      --threads=N       so many; one for each core unless told\n"
    "  -h, --help            this text\n"
    "\n"
    "Exit status: 0; 1 where there is nothing to replay; 2 for wrong usage; where PROGRAM cannot be\n"
    "run 125 to 127, as allot record has it.\n"
    "\n"
    "Examples:\n"
    "  allot pages trace.txt                              every policy, 20 sizes\n"
    "  allot pages trace.txt --frames 1000,1%,10%         these\n"
    "  allot pages -o curves.html trace.oracleGeneral.zst to look at it\n"
    "  allot pages --column lbn blocks.csv                one column of a table\n"
    "  allot pages -P lru,opt --frames 4 - < ids          as text from a pipe or file\n"
    "  allot pages --page-size 64K -- sort big.txt        what a program refers to\n"
    "  allot pages --addresses --tlb 1536/12 refs.txt     and how its addresses are translated\n"
    "  allot pages --json trace.txt | jq .policies        for a machine to read\n";

struct request {
    const char *path, *output, *keep;
    char **argv; /* of a program; NULL */
    char *frames;
    struct refs_wanted refs;
    struct curves_wanted curves;
    struct translate_shape shape;
    const char *of_translation; /* an option that is of no use without it; NULL */
    bool sized, json;
};

/* -- options -- */

static bool refuse(const char *option, const char *text, const char *takes)
{
    complain("pages: --%s %s, on the command line, takes %s", option, text, takes);
    return false;
}

/* Numbers with commas between, `most` of them at the most; how many, 0: it is no such list. */
static unsigned read_list(const char *text, unsigned most, uint64_t largest, unsigned *out)
{
    unsigned count = 0;
    for (const char *end;; text = end + 1) {
        uint64_t number;
        end = strchrnul(text, ',');
        if (count == most || !words_read_part(text, end, largest, &number)) {
            return 0;
        }
        out[count++] = (unsigned)number;
        if (!*end) {
            return count;
        }
    }
}

static bool read_policies(struct request *r, char *text)
{
    r->curves.policies = 0;
    for (char *name; (name = strsep(&text, ",")) != NULL;) {
        unsigned policy = curves_policy_named(name), before = 0;
        while (before < r->curves.policies && r->curves.policy[before] != policy) {
            before++;
        }
        if (policy == CURVES_POLICIES) {
            return refuse("policies", name, "opt, gradual, s3-fifo, sieve, arc, clock, lru, fifo, with commas between");
        }
        if (before == r->curves.policies) {
            r->curves.policy[r->curves.policies++] = policy;
        }
    }
    return true;
}

static bool is_power(uint64_t number) { return number && !(number & (number - 1)); }

static bool read_page_size(struct request *r, const char *text)
{
    uint64_t bytes;
    if (!words_read_bytes(text, &bytes) || !is_power(bytes) || bytes > (uint64_t)1 << 40) {
        return refuse("page-size", text, "a power of two like 4K, 64K or 2M");
    }
    r->shape.page_shift = (unsigned)__builtin_ctzll(bytes);
    r->sized = true;
    return true;
}

static bool read_table(struct request *r, const char *text)
{
    r->of_translation = "table";
    r->shape.levels = read_list(text, TRANSLATE_LEVELS_MOST, TRANSLATE_BITS_MOST, r->shape.bits);
    bool fine = r->shape.levels > 0;
    for (unsigned l = 0; l < r->shape.levels; l++) {
        fine &= r->shape.bits[l] > 0;
    }
    return fine || refuse("table", text, "1 to 8 levels of 1 to 20 bits, like 9,9,9,9");
}

static bool read_tlb(struct request *r, const char *text)
{
    uint64_t entries, ways = 4;
    r->of_translation = "tlb";
    const char *slash = strchrnul(text, '/');
    bool fine = words_read_part(text, slash, 1 << 20, &entries) && entries > 0 &&
                (!*slash || (words_read_number(slash + 1, TRANSLATE_WAYS_MOST, &ways) && ways > 0));
    ways = fine && !*slash && entries < ways ? entries : ways;
    if (!fine || entries % ways || !is_power(entries / ways)) {
        return refuse("tlb", text,
                      "entries and ways like 64/4 or 1536/12: so many sets of ways that it is a power of two");
    }
    r->shape.entries = (uint32_t)entries;
    r->shape.ways = (uint32_t)ways;
    return true;
}

static bool read_pace(struct request *r, const char *text)
{
    unsigned pace[8], count = read_list(text, 6, 256 << 8, pace);
    for (unsigned i = 0; i < count; i++) {
        r->curves.gradual.pace[i + 2] = pace[i];
    }
    return count || refuse("pace", text, "a number for each level above the two coldest, like 32,16");
}

static bool read_fresh(struct request *r, const char *text)
{
    unsigned fresh[2] = {0}, count = read_list(text, 2, 256, fresh);
    r->curves.gradual.fresh = fresh[0];
    r->curves.gradual.fresh_most = fresh[1];
    return count || refuse("fresh", text, "one or two numbers up to 256, like 5,230");
}

static bool read_column(struct request *r, const char *text)
{
    r->refs.column = text;
    return (text[0] && strcmp(text, "0") != 0) || refuse("column", text, "a name, or a number from 1 on");
}

static bool read_format(struct request *r, const char *text)
{
    r->refs.format = refs_format_named(text);
    return r->refs.format < REFS_FORMATS || refuse("format", text, "ids, csv, oracle or lackey");
}

enum { FORMAT = 256, PAGE_SIZE, TABLE, TLB, NO_CODE, LIMIT, TRACE, LEVELS, PACE, FRESH, THREADS };

static bool read_option(struct request *r, int option, char *const *argv)
{
    uint64_t number = 0;
    bool fine = true;
    switch (option) {
    case 'f':
        r->frames = optarg;
        return true;
    case 'P':
        return read_policies(r, optarg);
    case 'o':
        r->output = optarg;
        return true;
    case 'j':
        return r->json = true;
    case FORMAT:
        return read_format(r, optarg);
    case 'c':
        return read_column(r, optarg);
    case 'a':
        return r->refs.addresses = true;
    case PAGE_SIZE:
        return read_page_size(r, optarg);
    case TABLE:
        return read_table(r, optarg);
    case TLB:
        return read_tlb(r, optarg);
    case 'w':
        fine = take_number("pages", "window", optarg, 0, REFS_WINDOW_MOST, &number);
        r->refs.window = (int)number;
        return fine;
    case NO_CODE:
        return r->refs.no_code = true;
    case LIMIT:
        return take_number("pages", "limit", optarg, 1, INT64_MAX, &r->refs.limit);
    case TRACE:
        r->keep = optarg;
        return true;
    case LEVELS:
        fine = take_number("pages", "levels", optarg, 2, 8, &number);
        r->curves.gradual.levels = (unsigned)number;
        return fine;
    case PACE:
        return read_pace(r, optarg);
    case FRESH:
        return read_fresh(r, optarg);
    case THREADS:
        fine = take_number("pages", "threads", optarg, 1, 256, &number);
        r->curves.threads = (unsigned)number;
        return fine;
    default:
        complain_option("pages", option, argv);
        return false;
    }
}

/* What options mean together. */
static bool check_together(struct request *r)
{
    const struct allot_evict_opts *g = &r->curves.gradual;
    unsigned bits = translate_address_bits(&r->shape);
    struct allot_evict e;
    if (r->of_translation && !r->refs.addresses) {
        complain("pages: --%s, on the command line, needs --addresses", r->of_translation);
        return false;
    }
    if (r->refs.column && ((r->refs.format && r->refs.format != REFS_CSV) || r->argv)) {
        complain("pages: --column, on the command line, is of tables only");
        return false;
    }
    r->refs.format = r->refs.column ? REFS_CSV : r->refs.format;
    if (r->refs.addresses && bits > 64) {
        complain("pages: pages and levels of %u bits, on the command line, an address has 64", bits);
        return false;
    }
    r->refs.page_shift = r->shape.page_shift;
    r->refs.address_bits = r->refs.addresses ? bits : 64;
    if (allot_evict_init(&e, ALLOT_GRADUAL, 1000, g) == -EINVAL || (g->fresh_most && g->fresh > g->fresh_most)) {
        complain("pages: --levels, --pace or --fresh, on the command line, do not go together, see allot pages --help");
        return false;
    }
    allot_evict_done(&e);
    return true;
}

static int read_arguments(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        {"frames", required_argument, NULL, 'f'},
        {"policies", required_argument, NULL, 'P'},
        {"output", required_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},
        {"format", required_argument, NULL, FORMAT},
        {"column", required_argument, NULL, 'c'},
        {"addresses", no_argument, NULL, 'a'},
        {"page-size", required_argument, NULL, PAGE_SIZE},
        {"table", required_argument, NULL, TABLE},
        {"tlb", required_argument, NULL, TLB},
        {"window", required_argument, NULL, 'w'},
        {"no-code", no_argument, NULL, NO_CODE},
        {"limit", required_argument, NULL, LIMIT},
        {"trace", required_argument, NULL, TRACE},
        {"levels", required_argument, NULL, LEVELS},
        {"pace", required_argument, NULL, PACE},
        {"fresh", required_argument, NULL, FRESH},
        {"threads", required_argument, NULL, THREADS},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *r = (struct request){
        .refs = {.window = -1},
        .curves = {.policy = {CURVES_OPT, ALLOT_GRADUAL, ALLOT_S3FIFO, ALLOT_SIEVE, ALLOT_ARC, ALLOT_CLOCK, ALLOT_LRU,
                              ALLOT_FIFO},
                   .policies = CURVES_POLICIES},
        .shape = {.levels = 4, .bits = {9, 9, 9, 9}, .page_shift = 12, .entries = 64, .ways = 4},
    };
    int own = 1; /* words before the program */
    while (own < argc && strcmp(argv[own], "--") != 0) {
        own++;
    }
    r->argv = own < argc ? argv + own + 1 : NULL;
    opterr = 0;
    for (int option; (option = getopt_long(own, argv, ":f:P:o:jc:aw:h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            return 1;
        }
        if (!read_option(r, option, argv)) {
            return EXIT_USAGE + 1;
        }
    }
    int files = own - optind;
    if (files != (r->argv ? 0 : 1) || (r->argv && !r->argv[0])) {
        complain("pages: %s, on the command line, see allot pages --help", r->argv && files ? "a program and a file"
                                                                           : r->argv        ? "no program behind --"
                                                                           : files          ? "more than one file"
                                                                                   : "neither a file nor a program");
        return EXIT_USAGE + 1;
    }
    r->path = r->argv ? r->argv[0] : argv[optind];
    return check_together(r) ? 0 : EXIT_USAGE + 1;
}

/* -- how far it is, on a terminal, after a second -- */

static void show(const char *what, uint64_t done, uint64_t whole)
{
    if (!progress_due()) {
        return;
    }
    if (whole > 0) {
        double part = (double)done / (double)whole;
        fprintf(stderr, "%s: %d %%", what, (int)(100 * (part < 1 ? part : 1)));
    } else { /* a pipe: nobody knows how much comes */
        fprintf(stderr, "%s: %s", what, words_bytes(done).text);
    }
}

static void show_reading(const char *path, uint64_t read, uint64_t bytes)
{
    (void)path;
    show("reading", read, bytes);
}
static void show_replaying(uint64_t done, uint64_t whole) { show("replaying", done, whole); }

/* -- what goes in and comes out -- */

static int read_file(const struct request *r, struct refs *refs)
{
    struct trace_error error;
    struct stat st;
    bool standard = strcmp(r->path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        fd = -1;
    }
    if (fd < 0) {
        complain("cannot open it: %m, %s, name a trace that can be read", r->path);
        return 1;
    }
    bool read = refs_read(refs, fd, standard ? "standard input" : r->path, &r->refs, &error);
    progress_end();
    if (!read) {
        complain("%s", error.line);
    }
    if (!standard) {
        close(fd);
    }
    return read ? 0 : 1;
}

/* What `write` writes goes into that file, whole or not at all. False: it is complained. */
static bool write_file(const char *path, void (*write)(FILE *to, const struct tell *tell), const struct tell *tell)
{
    FILE *file = tmpfile();
    int error = file ? 0 : -errno;
    if (file) {
        write(file, tell);
        error = fflush(file) != 0 || ferror(file) ? -errno : outfile_write(path, fileno(file));
        fclose(file);
    }
    if (error) {
        complain("cannot write, %s, %s", path, strerror(-error));
    }
    return error == 0;
}

/* As REFS_IDS reads them: of texts their numbers, of addresses where their page begins. */
static void write_references(FILE *to, const struct tell *tell)
{
    const struct refs *refs = tell->refs;
    unsigned shift = refs->addresses ? refs->page_shift : 0;
    for (size_t i = 0; i < refs->kept.count; i++) {
        uint32_t page = refs->kept.at[i];
        uint64_t id = refs->ids.text ? page : refs->ids.number[page];
        fprintf(to, refs->addresses ? "0x%" PRIx64 "\n" : "%" PRIu64 "\n", id << shift);
    }
}

/* In order; 0: it is complained. */
static unsigned find_sizes(char *text, const struct refs *refs, uint32_t frames[CURVES_FRAMES_MOST])
{
    const char *wrong = NULL;
    unsigned sizes = text ? sizes_read(text, refs->ids.count, frames, &wrong) : sizes_series(refs, frames);
    if (sizes == 0 && wrong) {
        refuse("frames", wrong, "numbers from 1 to 268435456, or percentages of the pages, with commas between");
    } else if (sizes == 0) {
        complain("pages: more than %d --frames, on the command line, leave some out", CURVES_FRAMES_MOST);
    }
    return sizes;
}

static int replay(struct request *r, const struct refs *refs)
{
    static uint32_t frames[CURVES_FRAMES_MOST];
    struct translate_table table;
    struct tell tell = {
        .name = r->argv                     ? words_base(r->path)
                : strcmp(r->path, "-") == 0 ? "standard input"
                                            : r->path,
        .refs = refs,
        .wanted = &r->curves,
    };
    if (r->sized && !refs->addresses) {
        complain("pages: --page-size, on the command line, is of addresses, and these are ids: give --addresses");
        return EXIT_USAGE;
    }
    r->curves.frames = frames;
    r->curves.sizes = find_sizes(r->frames, refs, frames);
    if (!r->curves.sizes) {
        return EXIT_USAGE;
    }
    if (r->keep && !write_file(r->keep, write_references, &tell)) {
        return 1;
    }
    if (r->refs.addresses) {
        if (!translate_table(&table, refs, &r->shape)) {
            complain(
                "no memory for its page table, %s, its addresses lie far apart: give --limit, or a larger --page-size",
                r->path);
            return 1;
        }
        r->curves.table = &table;
    }
    struct curves_cell *cell = curves_make(refs, &r->curves);
    progress_end();
    if (!cell) {
        complain("no memory for the replay, %s, give fewer --threads, or fewer --frames", r->path);
        return 1;
    }
    tell.cell = cell;
    bool told = !r->output || write_file(r->output, tell_page, &tell);
    if (r->json) {
        tell_json(stdout, &tell);
    } else if (!r->output) {
        tell_text(stdout, &tell);
    }
    free(cell);
    if (r->curves.table) {
        translate_table_end(&table);
    }
    return told ? 0 : 1;
}

static bool can_write(const char *path)
{
    int error = path ? outfile_check(path) : 0;
    if (error) {
        complain("cannot write, %s, %s", path, strerror(-error));
    }
    return error == 0;
}

int command_pages(int argc, char **argv)
{
    struct request r;
    struct refs refs;
    int status = read_arguments(argc, argv, &r);
    if (status) {
        return status - 1;
    }
    if (!can_write(r.output) || !can_write(r.keep)) {
        return 1;
    }
    progress_begin();
    r.refs.progress = r.argv ? NULL : show_reading; /* the terminal is the program's while it runs */
    r.curves.progress = show_replaying;
    status = r.argv ? record_refs(&refs, r.argv, &r.refs) : read_file(&r, &refs);
    if (status) {
        return status;
    }
    status = replay(&r, &refs);
    refs_end(&refs);
    return status;
}
