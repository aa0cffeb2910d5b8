/* See feed.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "descriptor.h"
#include "proc.h"
#include "top/feed.h"

enum { SAMPLE_NS = 3000, RENEW_MS = 2000, LOOK_S = 5, FIRST_ANSWERS = 3, SITES_MOST = ALLOT_CONTROL_SITES };
#define MEAN_LEAST  ((uint64_t)512 << 10)
#define MEAN_MOST   ((uint64_t)1 << 30)
#define MEAN_FIRST  ((uint64_t)64 << 20) /* until the rate is known */
#define CPU_LEAST   0.01                 /* of a processor: for who does nothing */
#define PERIOD_MOST 60                   /* seconds */
#define WEIGH       0.4                  /* of a new rate in what is shown */

struct had {
    uint64_t id, live_bytes, alloc_bytes;
};

struct feed_inside {
    int page, memory, pidfd;
    uint64_t desc;
    uint16_t number; /* of what it was asked in its memory */
    bool by_memory;  /* it does not look at its page unless it is asked there */
    double every;
    uint64_t mean, renewed_at, asked_at, asked, looked_at, heard_at, lease;
    uint64_t before_at, before_heard, before_blocks, before_bytes, before_freed, before_freed_bytes, before_samples;
    uint64_t cpu_at, cpu_ticks;
    uint64_t answer_ns;
    uint64_t window_at, window_samples, window_mean; /* since the mean is as it is */
    struct had had[SITES_MOST];                      /* of the tables before; by id */
    size_t hads;
    uint64_t had_at;
    struct had mark[SITES_MOST];
    size_t marks;
    uint64_t at_hand; /* what `now` had more live than the tables, when these were filled; modulo 2^64 */
    bool marked;
    uint64_t marked_live;
};

uint64_t feed_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* -- the process from outside -- */

static bool has_ended(const struct feed *f)
{
    struct pollfd p = {.fd = f->inside->pidfd, .events = POLLIN};
    return f->inside->pidfd >= 0 ? poll(&p, 1, 0) > 0 : kill(f->pid, 0) != 0 && errno == ESRCH;
}

static void look_from_outside(struct feed *f)
{
    char text[1024];
    uint64_t pages, user, system, now = feed_now();
    if (proc_read(f->pid, "statm", text, sizeof text) && sscanf(text, "%*u %" SCNu64, &pages) == 1) {
        f->resident = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    const char *at = proc_read(f->pid, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    if (at &&
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user, &system) == 2) {
        double seconds = (double)(now - f->inside->cpu_at) / 1e9;
        if (f->inside->cpu_at && seconds > 0.05) {
            double busy = (double)(user + system - f->inside->cpu_ticks) / (double)sysconf(_SC_CLK_TCK) / seconds;
            f->cpu = f->cpu > 0 ? f->cpu + WEIGH * (busy - f->cpu) : busy;
        }
        f->inside->cpu_at = now;
        f->inside->cpu_ticks = user + system;
    }
}

/* -- getting a page -- */

static void refuse(struct feed *f, const char *what)
{
    f->state = FEED_REFUSED;
    snprintf(f->why, sizeof f->why, what, (int)f->pid);
}

static void refuse_error(struct feed *f, int error)
{
    switch (error) {
    case ESRCH:
    case ENOENT:
        refuse(f, "no process %d, on the command line, give one that runs");
        return;
    case EACCES:
        refuse(f, "process %d may not be looked into, on the command line, be its user or root, or start it with allot "
                  "run --share");
        return;
    case EPROTO:
        refuse(f, "process %d runs on another version of allot, on the command line, use that one's command");
        return;
    case EPERM:
        refuse(f, "process %d shares nothing, as it is privileged or filters its system calls, on the command line, "
                  "look at another");
        return;
    default:
        f->state = FEED_REFUSED;
        snprintf(f->why, sizeof f->why, "process %d shares nothing, on the command line, %s", (int)f->pid,
                 strerror(error));
    }
}

static void take_page(struct feed *f, int fd, bool by_memory)
{
    struct feed_inside *in = f->inside;
    in->page = fd;
    in->by_memory = by_memory;
    in->heard_at = feed_now();
    in->before_at = 0;
    in->asked_at = 0;
    f->state = FEED_LIVE;
}

/* Where it may be asked in its memory. False: nowhere, and `why` says why. */
static bool open_memory(struct feed *f)
{
    struct feed_inside *in = f->inside;
    char path[64];
    bool other = false;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)f->pid);
    in->memory = in->memory < 0 ? open(path, O_RDWR | O_CLOEXEC) : in->memory;
    if (in->memory < 0) {
        refuse_error(f, errno == EPERM ? EACCES : errno);
        return false;
    }
    in->desc = descriptor_find(f->pid, in->memory, &other);
    if (!in->desc) {
        refuse(f, other ? "process %d runs on another version of allot, on the command line, use that one's command"
                        : "process %d does not run on allot's malloc, on the command line, start it with allot run");
    }
    return in->desc;
}

/* It looks at its page, or makes one. */
static void knock(struct feed *f)
{
    struct feed_inside *in = f->inside;
    int error = descriptor_ask(in->memory, in->desc, NULL, &in->number);
    if (error && !has_ended(f)) {
        refuse_error(f, error == -EPERM ? EACCES : -error);
    }
}

static void ask_for_page(struct feed *f)
{
    if (open_memory(f)) {
        f->state = FEED_ASKING;
        f->inside->heard_at = feed_now();
        knock(f);
    }
}

static void open_page(struct feed *f)
{
    bool by_memory;
    int fd = control_open_any(f->pid, &by_memory);
    if (fd >= 0 && (!by_memory || open_memory(f))) {
        take_page(f, fd, by_memory);
    } else if (fd >= 0) {
        close(fd);
    } else if (fd == -ENOENT) {
        ask_for_page(f);
    } else {
        refuse_error(f, fd == -EPERM ? EACCES : -fd);
    }
}

static void see_answer(struct feed *f)
{
    struct feed_inside *in = f->inside;
    bool by_memory;
    int error = 0, fd = control_open_any(f->pid, &by_memory);
    if (fd >= 0) {
        take_page(f, fd, by_memory);
    } else if (fd == -ENOENT && descriptor_answer(in->memory, in->desc, true, in->number, &error) > 0 && error) {
        refuse_error(f, -error);
    }
}

static void close_page(struct feed *f)
{
    if (f->inside->page >= 0) {
        close(f->inside->page);
        f->inside->page = -1;
    }
    if (f->inside->memory >= 0) {
        close(f->inside->memory);
        f->inside->memory = -1;
    }
}

/* The page that we have may not be its page any more: it has become another program, or our lease had run out. */
static void look_for_page(struct feed *f)
{
    struct feed_inside *in = f->inside;
    uint64_t now = feed_now();
    if (now - in->looked_at < (uint64_t)LOOK_S * 1000000000) {
        return;
    }
    in->looked_at = now;
    struct stat had, has;
    bool by_memory;
    int fd = control_open_any(f->pid, &by_memory);
    bool same = fd >= 0 && fstat(fd, &has) == 0 && fstat(in->page, &had) == 0 && has.st_ino == had.st_ino;
    if (fd >= 0) {
        close(fd);
    }
    if (fd == -ENOENT || (fd >= 0 && !same)) {
        close_page(f);
        open_page(f);
    }
}

/* -- the lease -- */

static bool write_word(const struct feed *f, uint64_t word, size_t at)
{
    return pwrite(f->inside->page, &word, sizeof word, (off_t)at) == sizeof word;
}

static bool read_word(const struct feed *f, uint64_t *word, size_t at)
{
    return pread(f->inside->page, word, sizeof *word, (off_t)at) == sizeof *word;
}

static void renew(struct feed *f)
{
    struct feed_inside *in = f->inside;
    uint64_t lease;
    if (read_word(f, &lease, offsetof(struct allot_control, lease)) &&
        write_word(f, in->mean, offsetof(struct allot_control, lease_mean)) &&
        write_word(f, lease + 1, offsetof(struct allot_control, lease))) {
        in->renewed_at = feed_now();
        in->lease = lease + 1;
        if (in->by_memory) {
            knock(f);
        }
    }
}

/* Nobody but us has renewed it: it ends at once, and not by and by. */
static void leave(struct feed *f)
{
    uint64_t lease;
    if (read_word(f, &lease, offsetof(struct allot_control, lease)) && lease == f->inside->lease) {
        write_word(f, 0, offsetof(struct allot_control, lease_mean));
        write_word(f, lease + 1, offsetof(struct allot_control, lease));
        if (f->inside->by_memory) {
            knock(f);
        }
    }
}

static double time_of(const struct feed *f) { return f->cpu > CPU_LEAST ? f->cpu : CPU_LEAST; }

/* So few samples that they keep within their half. Powers of two, and not to and fro between them, as a change costs too. Of several who
 * look on the one that wants fewest has its way, or each would undo what another does. */
static void choose_mean(struct feed *f)
{
    struct feed_inside *in = f->inside;
    uint64_t mean = MEAN_LEAST, others = f->page.lease != in->lease ? f->page.lease_mean : 0;
    if (others > in->mean && others <= MEAN_MOST) {
        in->mean = others;
    }
    uint64_t now = feed_now(), got = f->page.now.samples - in->window_samples;
    double seconds = (double)(now - in->window_at) / 1e9;
    if (f->page.now.sample_mean != in->mean || in->window_mean != in->mean || !in->window_at) { /* not heard yet */
        in->window_at = now;
        in->window_samples = f->page.now.samples;
        in->window_mean = f->page.now.sample_mean;
        return;
    }
    /* So few samples may be by chance: it allocates at most so much, all but surely. */
    double most = ((double)got + 3) * (double)in->mean / seconds;
    double wanted = most * SAMPLE_NS / 1e9 / (FEED_SAMPLING * time_of(f));
    while (mean < MEAN_MOST && (double)mean < wanted) {
        mean *= 2;
    }
    if ((mean > in->mean && got >= 8) || (mean * 4 <= in->mean && !others)) {
        in->mean = mean;
    }
}

/* -- rates -- */

static double rate(double shown, uint64_t now, uint64_t before, double seconds)
{
    double fresh = now > before ? (double)(now - before) / seconds : 0;
    return shown < 0 ? fresh : shown + WEIGH * (fresh - shown);
}

static void find_rates(struct feed *f)
{
    struct feed_inside *in = f->inside;
    const struct allot_control_now *n = &f->page.now;
    uint64_t now = feed_now();
    if (f->page.lease_heard == in->before_heard) {
        return;
    }
    in->heard_at = now;
    if (in->before_at) {
        double seconds = (double)(now - in->before_at) / 1e9;
        struct feed_rates *r = &f->rates;
        r->allocs = rate(r->allocs, n->alloc_blocks, in->before_blocks, seconds);
        r->bytes = rate(r->bytes, n->alloc_bytes, in->before_bytes, seconds);
        r->frees = rate(r->frees, n->free_blocks, in->before_freed, seconds);
        r->freed = rate(r->freed, n->free_bytes, in->before_freed_bytes, seconds);
        r->samples = rate(r->samples, n->samples, in->before_samples, seconds);
    }
    in->before_at = n->sample_mean ? now : 0;
    in->before_heard = f->page.lease_heard;
    in->before_blocks = n->alloc_blocks;
    in->before_bytes = n->alloc_bytes;
    in->before_freed = n->free_blocks;
    in->before_freed_bytes = n->free_bytes;
    in->before_samples = n->samples;
}

/* -- tables -- */

static const struct had *find_had(const struct had *had, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (had[i].id == id) {
            return &had[i];
        }
    }
    return NULL;
}

static size_t note_sites(const struct feed *f, struct had *out)
{
    for (size_t i = 0; i < f->sites; i++) {
        const struct allot_control_site *s = &f->site[i].is;
        out[i] = (struct had){s->id, s->live_bytes, s->alloc_bytes};
    }
    return f->sites;
}

static void compare_with_mark(struct feed *f)
{
    struct feed_inside *in = f->inside;
    for (size_t i = 0; i < f->sites; i++) {
        const struct had *had = find_had(in->mark, in->marks, f->site[i].is.id);
        f->site[i].marked = in->marked;
        f->site[i].since = (int64_t)(f->site[i].is.live_bytes - (had ? had->live_bytes : 0));
    }
}

static void take_sites(struct feed *f)
{
    struct feed_inside *in = f->inside;
    const struct allot_control_tables *t = &f->page.tables;
    uint64_t now = feed_now();
    double seconds = (double)(now - in->had_at) / 1e9;
    f->sites = t->sites < SITES_MOST ? t->sites : SITES_MOST;
    for (size_t i = 0; i < f->sites; i++) {
        struct feed_site *s = &f->site[i];
        const struct had *had = find_had(in->had, in->hads, t->of_site[i].id);
        *s = (struct feed_site){.is = t->of_site[i], .bytes_rate = -1};
        if (in->had_at && seconds > 0) {
            uint64_t before = had ? had->alloc_bytes : s->is.alloc_bytes - s->is.recent_bytes;
            s->bytes_rate = s->is.alloc_bytes > before ? (double)(s->is.alloc_bytes - before) / seconds : 0;
        }
    }
    in->hads = note_sites(f, in->had);
    in->had_at = now;
    compare_with_mark(f);
}

/* The shortest of the last answers is what they take: others were interrupted, or the first, which touch memory that is new. Those come
 * at once, or there would be nothing to compare with. */
static void choose_period(struct feed *f)
{
    struct feed_inside *in = f->inside;
    uint64_t took = f->page.answer_ns, longest = in->answer_ns + in->answer_ns / 4;
    in->answer_ns = f->answers++ == 0 || took < longest ? took : longest;
    double needed = (double)in->answer_ns / 1e9 / (FEED_TABLES * time_of(f));
    bool bound = f->answers >= FIRST_ANSWERS && needed > in->every;
    f->table_period = !bound ? in->every : needed < PERIOD_MOST ? needed : PERIOD_MOST;
}

static void ask_for_tables(struct feed *f)
{
    struct feed_inside *in = f->inside;
    uint64_t now = feed_now(), asked;
    if ((double)(now - in->asked_at) / 1e9 < f->table_period - 0.02 ||
        !read_word(f, &asked, offsetof(struct allot_control, asked))) {
        return;
    }
    in->asked = asked + 1;
    write_word(f, in->asked, offsetof(struct allot_control, asked));
    in->asked_at = now;
}

static void take_tables(struct feed *f)
{
    uint64_t at = f->page.tables_at;
    if (at && at != f->tables_at) {
        f->tables = true;
        f->tables_at = at;
        f->inside->at_hand = f->page.now.live - f->page.tables.live;
        take_sites(f);
        choose_period(f);
    }
}

/* -- what is called -- */

bool feed_begin(struct feed *f, pid_t pid, double every)
{
    *f = (struct feed){.pid = pid,
                       .inside = calloc(1, sizeof *f->inside),
                       .site = calloc(SITES_MOST, sizeof *f->site),
                       .rates = {-1, -1, -1, -1, -1},
                       .table_period = every};
    if (!f->inside || !f->site) {
        free(f->inside);
        free(f->site);
        return false;
    }
    struct feed_inside *in = f->inside;
    in->page = in->memory = -1;
    in->every = every;
    in->mean = MEAN_FIRST;
    in->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    control_process_name(pid, f->name);
    look_from_outside(f);
    in->looked_at = feed_now();
    open_page(f);
    return true;
}

void feed_end(struct feed *f)
{
    if (f->state == FEED_LIVE) {
        leave(f);
    }
    close_page(f);
    if (f->inside->pidfd >= 0) {
        close(f->inside->pidfd);
    }
    free(f->inside);
    free(f->site);
}

void feed_keep(struct feed *f)
{
    struct feed_inside *in = f->inside;
    if (has_ended(f)) {
        f->state = FEED_ENDED;
    }
    if (f->state == FEED_ASKING) {
        see_answer(f);
    }
    if (f->state == FEED_LIVE && feed_now() - in->renewed_at > (uint64_t)RENEW_MS * 1000000) {
        renew(f);
    }
    f->silent = (double)(feed_now() - in->heard_at) / 1e9;
}

void feed_turn(struct feed *f)
{
    feed_keep(f);
    if (f->state == FEED_ENDED || f->state == FEED_REFUSED) {
        return;
    }
    look_from_outside(f);
    if (f->state == FEED_LIVE) {
        look_for_page(f);
    }
    if (f->state != FEED_LIVE || control_read(f->inside->page, &f->page) != 0) {
        return;
    }
    find_rates(f);
    take_tables(f);
    int64_t live = (int64_t)(f->page.now.live - f->inside->at_hand);
    f->live = live > 0 ? (uint64_t)live : 0;
    f->sampled_by_itself = f->page.now.sample_mean && f->page.now.sample_mean != f->page.lease_mean &&
                           f->page.now.sample_mean != f->inside->mean;
    choose_mean(f);
    ask_for_tables(f);
    renew(f);
    f->history[f->at++ % FEED_HISTORY] = f->live;
}

bool feed_is_whole(const struct feed *f) { return f->answers >= 2 && f->rates.allocs >= 0; }

void feed_mark(struct feed *f, bool on)
{
    struct feed_inside *in = f->inside;
    in->marked = on;
    in->marks = on ? note_sites(f, in->mark) : 0;
    in->marked_live = f->live;
    compare_with_mark(f);
}

bool feed_is_marked(const struct feed *f, uint64_t *live)
{
    *live = f->inside->marked_live;
    return f->inside->marked;
}
