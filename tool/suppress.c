/* See suppress.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "command.h"
#include "suppress.h"
#include "words.h"

#define LINE_MOST 8192

enum what { ANY_FRAMES, FUNCTION, OBJECT, SOURCE };
struct part {
    enum what what;
    const char *pattern; /* into the suppression's text */
    const char *plain;   /* of a mangled name without patterns: as it reads; or NULL */
};
struct suppression {
    struct suppression *next;
    bool lsan;
    unsigned kinds; /* a bit for each verdict */
    struct part *part;
    size_t parts, room;
};
struct suppressions {
    struct suppression *first, **last;
};

struct suppressions *suppressions_begin(void)
{
    struct suppressions *s = calloc(1, sizeof *s);
    if (s) {
        s->last = &s->first;
    }
    return s;
}

static void drop(struct suppression *s)
{
    for (size_t i = 0; i < s->parts; i++) {
        free((char *)s->part[i].pattern);
        free((char *)s->part[i].plain);
    }
    free(s->part);
    free(s);
}

void suppressions_end(struct suppressions *all)
{
    while (all && all->first) {
        struct suppression *next = all->first->next;
        drop(all->first);
        all->first = next;
    }
    free(all);
}

/* -- patterns -- */

/* One way back, to the last *, is enough: what an earlier one took too little of, the last can take. So time is at most the
 * product of the lengths. */
static bool is_like(const char *pattern, const char *text, char any)
{
    const char *star = NULL, *retry = text;
    for (;;) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (!*pattern && !*text) {
            return true;
        } else if (*text && (*pattern == any || *pattern == *text)) {
            pattern++;
            text++;
        } else if (star && *retry) {
            pattern = star;
            text = ++retry;
        } else {
            return false;
        }
    }
}

bool suppress_like(const char *pattern, const char *text) { return is_like(pattern, text, '?'); }

/* LSan's: somewhere in the text, but ^ is its beginning and $ its end; ? is no more than itself. */
static bool like_lsan(const char *pattern, const char *text)
{
    char without[LINE_MOST];
    if (!text) {
        return false;
    }
    bool begin = pattern[0] == '^';
    size_t length = strlen(pattern + begin);
    bool end = length > 0 && pattern[begin + length - 1] == '$';
    snprintf(without, sizeof without, "%s%.*s", begin ? "" : "*", (int)(length - end), pattern + begin);
    if (!end && length < sizeof without - 2) {
        strcat(without, "*");
    }
    return is_like(without, text, '*');
}

static bool is_plain(const char *pattern) { return !strpbrk(pattern, "*?"); }

/* -- reading -- */

static bool add_part(struct suppression *s, enum what what, const char *pattern)
{
    if (s->parts == s->room) {
        size_t room = s->room ? 2 * s->room : 8;
        struct part *grown = realloc(s->part, room * sizeof *grown);
        if (!grown) {
            return false;
        }
        s->part = grown;
        s->room = room;
    }
    struct part *part = &s->part[s->parts];
    *part = (struct part){.what = what, .pattern = strdup(pattern)};
    if (!part->pattern) {
        return false;
    }
    part->plain = what == FUNCTION && is_plain(pattern) ? symbols_demangle(pattern) : NULL;
    s->parts++;
    return true;
}

static void append(struct suppressions *all, struct suppression *s)
{
    *all->last = s;
    all->last = &s->next;
}

/* "definite,possible", "all", "none". -1: it is no such list. */
static int read_kinds(const char *text)
{
    static const struct {
        const char *name;
        unsigned bits;
    } kinds[] = {{"definite", 1u << GRAPH_DEFINITE | 1u << GRAPH_UNKNOWN},
                 {"indirect", 1u << GRAPH_INDIRECT},
                 {"possible", 1u << GRAPH_POSSIBLE},
                 {"reachable", 1u << GRAPH_REACHABLE | 1u << GRAPH_THREAD_ONLY},
                 {"all", ~0u},
                 {"none", 0}};
    unsigned found = 0;
    while (*(text += strspn(text, " \t,"))) {
        size_t length = strcspn(text, " \t,"), i = 0;
        while (i < 6 && (strlen(kinds[i].name) != length || strncmp(kinds[i].name, text, length) != 0)) {
            i++;
        }
        if (i == 6) {
            return -1;
        }
        found |= kinds[i].bits;
        text += length;
    }
    return (int)(found & 0xff);
}

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

struct reading {
    FILE *from;
    const char *path;
    unsigned long line;
    char text[LINE_MOST];
};

/* The next line without blanks around it, or NULL: there is none. */
static char *next_line(struct reading *r)
{
    while (fgets(r->text, sizeof r->text, r->from)) {
        r->line++;
        size_t length = strlen(r->text);
        if (length == sizeof r->text - 1 && r->text[length - 1] != '\n') {
            for (int c = 0; c != '\n' && c != EOF;) {
                c = getc(r->from);
            }
        }
        char *text = r->text + strspn(r->text, " \t\r\n");
        for (length = strlen(text); length > 0 && strchr(" \t\r\n", text[length - 1]);) {
            text[--length] = '\0';
        }
        if (*text && *text != '#') {
            return text;
        }
    }
    return NULL;
}

static bool refuse(const struct reading *r, const char *what)
{
    complain("%s, %s line %lu, write leak:PATTERN or a block as valgrind --gen-suppressions=all prints it", what,
             r->path, r->line);
    return false;
}

static bool out_of_memory(const struct reading *r)
{
    complain("out of memory, %s, end other programs", r->path);
    return false;
}

/* One line of a block, after its name and its tools. */
static bool read_part(const struct reading *r, struct suppression *s, const char *text)
{
    static const struct {
        const char *begin;
        enum what what;
    } parts[] = {{"fun:", FUNCTION}, {"obj:", OBJECT}, {"src:", SOURCE}};
    if (begins(text, "match-leak-kinds:")) {
        int kinds = read_kinds(text + strlen("match-leak-kinds:"));
        s->kinds = (unsigned)kinds;
        return kinds >= 0 || refuse(r, "no such kinds of leaks");
    }
    if (strcmp(text, "...") == 0) {
        return add_part(s, ANY_FRAMES, "") || out_of_memory(r);
    }
    for (size_t i = 0; i < 3; i++) {
        if (begins(text, parts[i].begin)) {
            return add_part(s, parts[i].what, text + 4) || out_of_memory(r);
        }
    }
    return refuse(r, "neither fun:, obj:, src: nor ...");
}

static bool is_for_leaks(const char *tools)
{
    const char *colon = strchr(tools, ':');
    if (!colon || strcmp(colon + 1, "Leak") != 0) {
        return false;
    }
    for (const char *at = tools; at < colon; at += strcspn(at, ",:") + 1) {
        if (begins(at, "Memcheck")) {
            return true;
        }
    }
    return false;
}

static bool read_block(struct suppressions *all, struct reading *r)
{
    struct suppression *s = calloc(1, sizeof *s);
    char *text = NULL;
    bool good = s != NULL, leaks = false;
    if (!s) {
        return out_of_memory(r);
    }
    s->kinds = 0xff;
    for (unsigned line = 0; good && (text = next_line(r)) && strcmp(text, "}") != 0; line++) {
        if (line == 1) {
            leaks = is_for_leaks(text);
            good = strchr(text, ':') || refuse(r, "no tool and kind in the block's second line");
        } else if (line > 1 && leaks) {
            good = read_part(r, s, text);
        }
    }
    if (good && !text) {
        good = refuse(r, "a block without its end");
    }
    if (good && leaks && s->parts > 0) {
        append(all, s);
    } else {
        drop(s);
    }
    return good;
}

static bool read_all(struct suppressions *all, struct reading *r)
{
    for (char *text; (text = next_line(r));) {
        if (strcmp(text, "{") == 0) {
            if (!read_block(all, r)) {
                return false;
            }
        } else if (begins(text, "leak:") && text[5]) {
            struct suppression *s = calloc(1, sizeof *s);
            if (!s || !add_part(s, FUNCTION, text + 5)) {
                if (s) {
                    drop(s);
                }
                return out_of_memory(r);
            }
            s->lsan = true;
            s->kinds = 0xff;
            append(all, s);
        } else {
            return refuse(r, "no suppression");
        }
    }
    return true;
}

bool suppressions_read(struct suppressions *all, const char *path)
{
    struct reading r = {.from = fopen(path, "re"), .path = path};
    if (!r.from) {
        complain("cannot read the suppressions, %s, %s", path, strerror(errno));
        return false;
    }
    bool good = read_all(all, &r);
    if (good && ferror(r.from)) {
        complain("cannot read the suppressions, %s, %s", path, strerror(errno));
        good = false;
    }
    fclose(r.from);
    return good;
}

/* -- matching -- */

static bool part_matches(const struct part *part, const struct symbol_frame *f)
{
    char place[LINE_MOST];
    switch (part->what) {
    case FUNCTION:
        return (f->function && (suppress_like(part->pattern, f->function) ||
                                (part->plain && strcmp(part->plain, f->function) == 0))) ||
               (f->symbol && suppress_like(part->pattern, f->symbol)) ||
               (!f->function && strcmp(part->pattern, "*") == 0);
    case OBJECT:
        return f->module &&
               (suppress_like(part->pattern, f->module) || suppress_like(part->pattern, words_base(f->module)));
    case SOURCE:
        if (!f->file) {
            return false;
        }
        snprintf(place, sizeof place, "%s:%u", words_base(f->file), f->line);
        return suppress_like(part->pattern, place) || suppress_like(part->pattern, words_base(f->file));
    default:
        return false;
    }
}

/* The parts are the innermost frames. One way back, to the last "...", as with * above. */
static bool parts_match(const struct part *part, size_t parts, const struct symbol_frame *frame, size_t frames)
{
    size_t p = 0, f = 0, star = SIZE_MAX, retry = 0;
    while (p < parts) {
        if (part[p].what == ANY_FRAMES) {
            star = ++p;
            retry = f;
        } else if (f < frames && part_matches(&part[p], &frame[f])) {
            p++;
            f++;
        } else if (star != SIZE_MAX && retry < frames) {
            p = star;
            f = ++retry;
        } else {
            return false;
        }
    }
    return true;
}

/* memcheck's stacks begin in the allocation's own function, these at its caller. */
static bool is_allocation(const struct part *part)
{
    static const char *const names[] = {"malloc",
                                        "calloc",
                                        "realloc",
                                        "memalign",
                                        "aligned_alloc",
                                        "posix_memalign",
                                        "valloc",
                                        "_Znwm",
                                        "_Znam",
                                        "_Znwj",
                                        "_ZnwmRKSt9nothrow_t",
                                        "_ZnamRKSt9nothrow_t",
                                        "_ZnwmSt11align_val_t",
                                        "_ZnamSt11align_val_t",
                                        "operator new(unsigned long)",
                                        "operator new[](unsigned long)"};
    for (size_t i = 0; part->what == FUNCTION && i < sizeof names / sizeof names[0]; i++) {
        if (suppress_like(part->pattern, names[i])) {
            return true;
        }
    }
    return false;
}

static bool matches(const struct suppression *s, const struct symbol_frame *frame, size_t frames)
{
    if (!s->lsan) {
        return parts_match(s->part, s->parts, frame, frames) ||
               (is_allocation(&s->part[0]) && parts_match(s->part + 1, s->parts - 1, frame, frames));
    }
    for (size_t i = 0; i < frames; i++) {
        const char *const texts[] = {frame[i].function, frame[i].symbol, frame[i].file, frame[i].module};
        for (size_t t = 0; t < 4; t++) {
            if (like_lsan(s->part[0].pattern, texts[t])) {
                return true;
            }
        }
    }
    return false;
}

bool suppressions_name(const struct suppressions *all, const char *name)
{
    for (const struct suppression *s = all->first; s; s = s->next) {
        if (s->lsan && like_lsan(s->part[0].pattern, name)) {
            return true;
        }
    }
    return false;
}

bool suppressions_match(struct suppressions *all, enum graph_verdict verdict, const struct symbol_frame *frame,
                        size_t frames)
{
    for (const struct suppression *s = all->first; s; s = s->next) {
        if ((s->kinds >> verdict & 1) && matches(s, frame, frames)) {
            return true;
        }
    }
    return false;
}
