/* pages/refs.h - a trace of page references, read to its end.
 *
 *   file or pipe --trace/input--> lines or records --reader of its format--> ids --> reduction --> kept: 0 1 2 0 3 0 ...
 *
 * Pages are numbered as they first come: what a page is called matters to nobody any more but the page table (ids.number, where ids are
 * addresses: the number of the page).
 *
 * Reduction: a program's loads and stores come in bursts, in which a few pages alternate. Of three references to a page, between the first
 * and the last of which there are fewer than `window` other pages, the middle one is dropped: with `window` frames and more, LRU and
 * the optimum miss exactly as often without it, as the page is there all the time and its last use is where it was. What other policies
 * see is that a page was used again, and not how often. (Kaplan, Smaragdakis, Wilson, "Trace reduction for virtual memory simulations",
 * 1999: safely allowed drop)
 *
 *     x a b x b x      with a window of 3: the second x goes, as between the first and the third are a and b only
 *
 *     references = kept.count + dropped
 *
 * Memory: 4 bytes for each that is kept, in a file where there are many (vector.h); 16 to 32 bytes a page.
 */
#ifndef ALLOT_PAGES_REFS_H
#define ALLOT_PAGES_REFS_H

#include <stdbool.h>
#include <stdint.h>

#include "pages/ids.h"
#include "pages/vector.h"
#include "trace/trace.h"

enum { REFS_WINDOW_MOST = 64, REFS_WINDOW_OF_LACKEY = 16 };
#define REFS_MOST ((size_t)1 << 31)

enum refs_format { REFS_ANY, REFS_IDS, REFS_CSV, REFS_ORACLE, REFS_LACKEY, REFS_FORMATS };

struct refs_wanted {
    enum refs_format format;
    const char
        *column; /* REFS_CSV: its number from 1, or its name in the first line; NULL: one that is called as ids are */
    bool addresses;        /* ids are addresses, as REFS_LACKEY's are anyway */
    bool no_code;          /* REFS_LACKEY: loads and stores only */
    unsigned page_shift;   /* of addresses: a page is 1 << page_shift bytes */
    unsigned address_bits; /* of addresses: more is an error; 64: any */
    int window;            /* below 0: as it fits the format */
    uint64_t limit;        /* references at most, what follows is not looked at; 0: all */
    const char
        *until; /* the line at which it ends, up to which all is read whatever is wrong with it; NULL: there is none */
    void (*progress)(const char *path, uint64_t read, uint64_t bytes);
};

struct refs {
    struct vector kept;
    struct ids ids;
    enum refs_format format;
    bool addresses; /* and pages are 1 << page_shift bytes of them */
    unsigned page_shift, window;
    uint64_t references;
    uint64_t without_size; /* REFS_ORACLE: requests of no bytes, left out, as libCacheSim does */
    uint64_t other_lines;  /* REFS_LACKEY: of the program's own output */

    /* The pages that were referenced last, these first, and one more than the window. */
    struct refs_recent {
        uint32_t page;
        size_t at; /* of `kept`: its last reference */
        uint64_t last,
            previous; /* numbers of references, from 1; previous: the one before that is kept, 0: none that is known */
    } recent[REFS_WINDOW_MOST + 1];
    unsigned recents;
    size_t packed; /* of `kept`: before that, little is dropped */
};

/* All that is in `fd`, a file or a pipe; false: error->line says what, where, what to do. `path`: only what it is called. */
bool refs_read(struct refs *refs, int fd, const char *path, const struct refs_wanted *wanted,
               struct trace_error *error);
void refs_end(struct refs *refs);

/* "one id a line", as people are told it; and as it is named on the command line. REFS_FORMATS: there is no such. */
const char *refs_format_words(enum refs_format format);
const char *refs_format_name(enum refs_format format);
enum refs_format refs_format_named(const char *name);

#endif
