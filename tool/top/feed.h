/* top/feed.h - what a process says of its heap, again and again, and what follows from one time to the next.
 *
 *   /proc/PID/fd --> its control page   <--  shared by itself, or since we asked it in its memory (descriptor.h)
 *                    a lease, renewed        it samples and tells (allot/control.h), and ends that by itself when we are gone
 *
 * What it costs the process is bounded here: FEED_SAMPLING and FEED_TABLES of the processor time that it takes itself. Two things cost: a
 * sample, some 3 us with a stack that is not in the cache, so the mean is chosen by how much is allocated; and filling the tables,
 * whose time the process tells, so they are asked for as seldom as that demands, by default each second. All else is read from outside.
 *
 * Of the process nothing is trusted: counts are held within bounds, names go to the terminal by words_put only.
 */
#ifndef ALLOT_TOP_FEED_H
#define ALLOT_TOP_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <allot/control.h>

#define FEED_SAMPLING 0.0003 /* of its processor time */
#define FEED_TABLES   0.0002
#define FEED_HISTORY  512

enum feed_state {
    FEED_ASKING, /* it has been asked for a page, and not answered: it does so when it next allocates */
    FEED_LIVE,
    FEED_ENDED,  /* the process */
    FEED_REFUSED /* `why` says */
};

/* So much a second; negative: not known yet. */
struct feed_rates {
    double allocs, bytes, frees, freed;
    double samples; /* that these figures are from */
};

struct feed_site {
    struct allot_control_site is;
    double bytes_rate; /* a second; negative: not known yet */
    int64_t since;     /* bytes live more than when it was marked */
    bool marked;
};

struct feed {
    pid_t pid;
    char name[64]; /* printable */
    enum feed_state state;
    char why[200]; /* what, where, what to do */
    struct allot_control page;
    bool tables;        /* there are some, */
    uint64_t tables_at; /* as of then: ns of our clock */
    double silent;      /* seconds since it was last heard */
    uint64_t live;      /* bytes: what threads have at hand is taken off, as of the last tables */
    uint64_t resident;  /* bytes */
    double cpu;         /* processors that it keeps busy */
    struct feed_rates rates;
    struct feed_site *site; /* of the tables */
    size_t sites;
    bool sampled_by_itself; /* not for our sake */
    uint64_t answers;       /* times that tables were had */
    double table_period;    /* seconds between tables: more than wanted where filling them takes long */

    uint64_t history[FEED_HISTORY]; /* what lived; the newest is [(at - 1) % FEED_HISTORY] */
    uint64_t at;

    struct feed_inside *inside;
};

/* False: out of memory. */
bool feed_begin(struct feed *f, pid_t pid, double every);
void feed_end(struct feed *f);

/* Once in `every` seconds: looks at all, asks for more. */
void feed_turn(struct feed *f);
/* More often than every 5 seconds, in between: keeps the lease, sees whether the process is there. */
void feed_keep(struct feed *f);

/* Rates are known, also of sites: there is nothing more to wait for. */
bool feed_is_whole(const struct feed *f);

/* Figures of sites from now on are told beside those of now, too. */
void feed_mark(struct feed *f, bool on);
bool feed_is_marked(const struct feed *f, uint64_t *live);

uint64_t feed_now(void); /* ns */

#endif
