/* See screen.h. What is on the screen is paint.c's; here are the keys, what they do, and the terminal.
 *
 * What other parts complain of goes to standard error, which is a file in memory here: its last line is shown below.
 */
#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "command.h"
#include "map/colour.h"
#include "outfile.h"
#include "profile/heap_map.h"
#include "snapshot/growth.h"
#include "snapshot/request.h"
#include "top/paint.h"
#include "words.h"

enum { WAIT_MS = 250, PAGER_LINES = 20000 };

static const char help[] =
    "Keys of allot top\n"
    "\n"
    "  q, Ctrl-C        quit: the process is left as it was\n"
    "  h, ?             this text\n"
    "\n"
    "  1 2 3 4, Tab     sites, classes, threads, tags\n"
    "  l r b t c        sort by what lives, by rate, by blocks, by total, by change since the mark\n"
    "  up, down, page   another row\n"
    "  Enter            of a site: its whole stack\n"
    "\n"
    "  m                mark: changes since now are shown as well; again: no more\n"
    "  s                snapshot: the process writes one into a file, see allot snap\n"
    "  d                diff: what has grown between the last two snapshots\n"
    "\n"
    "  p, space         pause, go on\n"
    "  + -              more often, less often\n"
    "\n"
    "What the figures mean\n"
    "\n"
    "  live       bytes that the program has and has not freed; peak: the most so far\n"
    "  resident   of the whole process, as the system counts\n"
    "  held       whole slabs and pages that live blocks lie in; kept: free ones at hand\n"
    "  heap       its pieces from old to new, as high as they are full: low ones are fragmented\n"
    "  rate, sites  estimates by sampling, of what was allocated since this began; the more samples,\n"
    "             the better; in brackets how old the tables are: they are had seldom where they cost\n"
    "\n"
    "The process pays less than 0.1 % of its time: samples are few and tables seldom where they cost.\n";

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

/* `text` is freed with it. */
static void page_text(struct screen *s, char *text)
{
    free(s->pager);
    s->pager = text;
    s->pager_top = s->pager_lines = 0;
    for (const char *c = text; c && *c && s->pager_lines < PAGER_LINES; s->pager_lines++) {
        c = paint_line(c, 1);
    }
}

static void look_at_rows(struct screen *s)
{
    if (s->feed->tables) {
        rows_make(&s->rows, s->feed, s->places, s->view, s->sort, COLS < 100);
    }
}

/* -- what keys do -- */

static struct screen *telling; /* snapshot_request has no argument for whom it tells */

static void told(const char *what)
{
    snprintf(telling->said, sizeof telling->said, "%s", what ? what : "");
    paint(telling);
}

/* What was complained since, its last line. */
static void read_errors(struct screen *s)
{
    char text[4096];
    ssize_t got = pread(s->errors, text, sizeof text - 1, s->errors_read);
    if (got <= 0) {
        return;
    }
    s->errors_read += got;
    text[got] = 0;
    while (got > 0 && text[got - 1] == '\n') {
        text[--got] = 0;
    }
    const char *last = strrchr(text, '\n');
    snprintf(s->said, sizeof s->said, "%.250s", last ? last + 1 : text);
}

static bool free_name(const struct screen *s, char *out, size_t room)
{
    for (unsigned i = 1; i < 10000; i++) {
        int length = snprintf(out, room, "%s/allot-%d-%u.snap", s->wanted->folder, (int)s->feed->pid, i);
        if (length < 0 || (size_t)length >= room) {
            return false;
        }
        if (access(out, F_OK) != 0) {
            return true;
        }
    }
    return false;
}

static void take_snapshot(struct screen *s)
{
    char path[4096];
    int fd;
    telling = s;
    if (!free_name(s, path, sizeof path)) {
        snprintf(s->said, sizeof s->said, "no name is free for a snapshot in %.200s", s->wanted->folder);
        return;
    }
    if (!snapshot_request(s->feed->pid, &fd, told)) {
        return;
    }
    int error = outfile_write(path, fd);
    close(fd);
    if (error) {
        snprintf(s->said, sizeof s->said, "%.180s: %s", path, strerror(-error));
        return;
    }
    free(s->snapshot[0]);
    s->snapshot[0] = s->snapshot[1];
    s->snapshot[1] = strdup(path);
    s->taken++;
    snprintf(s->said, sizeof s->said, "snapshot %u: %.180s%s", s->taken, path,
             s->snapshot[0] ? "; d shows what has grown" : "");
}

/* What a file in memory has; NULL. */
static char *read_all(int fd)
{
    off_t length = lseek(fd, 0, SEEK_END);
    char *text = length >= 0 ? malloc((size_t)length + 1) : NULL;
    ssize_t got = text ? pread(fd, text, (size_t)length, 0) : -1;
    if (text) {
        text[got > 0 ? got : 0] = 0;
    }
    return text;
}

static void show_diff(struct screen *s)
{
    if (!s->snapshot[0] || !s->snapshot[1]) {
        snprintf(s->said, sizeof s->said, "two snapshots are needed: s takes one");
        return;
    }
    const char *const path[2] = {s->snapshot[0], s->snapshot[1]};
    int into = memfd_create("allot.diff", MFD_CLOEXEC), out = dup(STDOUT_FILENO);
    telling = s;
    told("looking at both snapshots");
    s->said[0] = 0;
    if (into >= 0 && out >= 0 && fflush(stdout) == 0 && dup2(into, STDOUT_FILENO) >= 0) {
        int status = snapshot_growth_of(path, 20, false);
        fflush(stdout);
        dup2(out, STDOUT_FILENO);
        if (status == 0) {
            page_text(s, read_all(into));
        }
    }
    if (into >= 0) {
        close(into);
    }
    if (out >= 0) {
        close(out);
    }
}

static void show_stack(struct screen *s)
{
    char *text = NULL;
    size_t length;
    if (s->view != ROWS_SITES || s->row >= s->rows.count) {
        return;
    }
    const struct feed_site *site = &s->feed->site[s->rows.row[s->row].site];
    const struct place *place = places_of(s->places, &site->is);
    FILE *to = open_memstream(&text, &length);
    if (!to) {
        return;
    }
    fprintf(to, "%s\n\n  live ~%s in ~%s block%s", place->label, words_bytes(site->is.live_bytes).text,
            words_count(site->is.live_blocks).text, words_s(site->is.live_blocks));
    fprintf(to, ", of ~%s in ~%s allocated", words_bytes(site->is.alloc_bytes).text,
            words_count(site->is.alloc_blocks).text);
    fprintf(to, "; %s sample%s\n\n", words_count(site->is.samples).text, words_s(site->is.samples));
    for (size_t i = 0; i < place->callers; i++) {
        fprintf(to, "    %s\n", place->caller[i]);
    }
    if (fclose(to) == 0) {
        page_text(s, text);
    }
}

static void choose_view(struct screen *s, unsigned view)
{
    s->view = (enum rows_view)(view % ROWS_VIEWS);
    s->row = s->top = 0;
}

static void mark(struct screen *s)
{
    uint64_t live;
    bool on = !feed_is_marked(s->feed, &live);
    feed_mark(s->feed, on);
    snprintf(s->said, sizeof s->said, "%s",
             on ? "marked: what has changed since is shown; m ends it" : "no mark any more");
}

static void change_rhythm(struct screen *s, double by)
{
    double every = s->every * by;
    s->every = every < 0.25 ? 0.25 : every > 60 ? 60 : every;
}

static void pager_key(struct screen *s, int key)
{
    size_t page = LINES > 2 ? (size_t)LINES - 2 : 1;
    bool fits = s->pager_lines <= page + 1;
    switch (key) {
    case KEY_RESIZE:
        return;
    case KEY_DOWN:
    case 'j':
        s->pager_top++;
        break;
    case KEY_UP:
    case 'k':
        s->pager_top -= s->pager_top > 0;
        break;
    case KEY_NPAGE:
    case ' ':
        s->pager_top += page;
        break;
    case KEY_PPAGE:
        s->pager_top -= s->pager_top < page ? s->pager_top : page;
        break;
    default:
        fits = true;
    }
    if (fits) {
        page_text(s, NULL);
    }
}

static void table_key(struct screen *s, int key)
{
    static const struct {
        int key;
        enum rows_sort sort;
    } sorts[] = {{'l', ROWS_LIVE}, {'r', ROWS_RATE}, {'b', ROWS_BLOCKS}, {'t', ROWS_TOTAL}, {'c', ROWS_SINCE}};
    for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
        if (sorts[i].key == key) {
            s->sort = sorts[i].sort;
            return;
        }
    }
    size_t page = LINES > 10 ? (size_t)LINES - 10 : 1;
    switch (key) {
    case '1':
    case '2':
    case '3':
    case '4':
        choose_view(s, (unsigned)(key - '1'));
        break;
    case '\t':
        choose_view(s, s->view + 1u);
        break;
    case KEY_DOWN:
    case 'j':
        s->row++;
        break;
    case KEY_UP:
    case 'k':
        s->row -= s->row > 0;
        break;
    case KEY_NPAGE:
        s->row += page;
        break;
    case KEY_PPAGE:
        s->row -= s->row < page ? s->row : page;
        break;
    case KEY_ENTER:
    case '\n':
    case '\r':
        show_stack(s);
        break;
    default:
        break;
    }
}

static void take_key(struct screen *s, int key)
{
    if (s->pager) {
        pager_key(s, key);
        return;
    }
    s->said[0] = 0;
    switch (key) {
    case 'q':
    case 'Q':
        s->done = true;
        break;
    case 'h':
    case '?':
        page_text(s, strdup(help));
        break;
    case 'm':
        mark(s);
        break;
    case 's':
        take_snapshot(s);
        break;
    case 'd':
        show_diff(s);
        break;
    case 'p':
    case ' ':
        s->paused = !s->paused;
        break;
    case '+':
        change_rhythm(s, 0.5);
        break;
    case '-':
        change_rhythm(s, 2);
        break;
    default:
        table_key(s, key);
    }
    look_at_rows(s);
    read_errors(s);
}

/* -- the terminal -- */

static void choose_colours(struct screen *s)
{
    s->colour = s->wanted->colour && has_colors() && start_color() == OK && use_default_colors() == OK;
    if (!s->colour) {
        return;
    }
    init_pair(PAIR_DIM, COLORS >= 256 ? 244 : COLOR_CYAN, -1);
    init_pair(PAIR_ACCENT, COLORS >= 256 ? 75 : COLOR_BLUE, -1);
    init_pair(PAIR_WARN, COLOR_YELLOW, -1);
    for (int i = 0; i < LEVELS && COLORS >= 256; i++) {
        uint8_t level = (uint8_t)(HEAP_MAP_LEAST + i * (HEAP_MAP_FULL - HEAP_MAP_LEAST) / (LEVELS - 1));
        init_pair((short)(PAIR_LEVEL + i), (short)colour_of_terminal(colour_of_level(level, true)), -1);
    }
}

/* Characters are the terminal's, numbers stay as they are. */
static bool choose_characters(void)
{
    bool wide = words_utf8();
    setlocale(LC_CTYPE, "");
    if (wide && strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static bool open_screen(struct screen *s)
{
    int fd = dup(STDOUT_FILENO);
    s->utf8 = choose_characters();
    s->out = fd >= 0 ? fdopen(fd, "w") : NULL;
    s->terminal = s->out ? newterm(NULL, s->out, stdin) : NULL;
    if (!s->terminal) {
        complain("the terminal is not known, TERM=%s, set TERM, or use --once", getenv("TERM") ? getenv("TERM") : "");
        return false;
    }
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    curs_set(0);
    set_escdelay(25);
    choose_colours(s);
    return true;
}

static void catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_handler = stop};
        sigaction(signals[i], &action, NULL);
    }
}

static void run(struct screen *s)
{
    struct feed *f = s->feed;
    uint64_t next = feed_now();
    while (!s->done && !stopped && f->state != FEED_ENDED && f->state != FEED_REFUSED) {
        uint64_t now = feed_now();
        if (now >= next && !s->paused) {
            feed_turn(f);
            look_at_rows(s);
            next = feed_now() + (uint64_t)(s->every * 1e9);
        } else {
            feed_keep(f);
        }
        paint(s);
        int64_t left = ((int64_t)next - (int64_t)feed_now()) / 1000000;
        timeout(left < 0 ? 1 : left < WAIT_MS ? (int)left + 1 : WAIT_MS);
        int key = getch();
        if (key != ERR) {
            take_key(s, key);
        } else if (s->paused) {
            next = feed_now();
        }
    }
}

bool screen_run(struct feed *feed, struct places *places, const struct screen_wanted *wanted)
{
    static struct screen s;
    s = (struct screen){.feed = feed,
                        .places = places,
                        .wanted = wanted,
                        .every = wanted->every,
                        .view = wanted->view,
                        .sort = wanted->sort};
    catch_signals();
    if (!open_screen(&s)) {
        return false;
    }
    int errors = dup(STDERR_FILENO);
    s.errors = memfd_create("allot.errors", MFD_CLOEXEC);
    if (s.errors >= 0) {
        fcntl(s.errors, F_SETFL, O_APPEND);
        dup2(s.errors, STDERR_FILENO);
    }
    run(&s);
    endwin();
    delscreen(s.terminal);
    fclose(s.out);
    if (errors >= 0) {
        dup2(errors, STDERR_FILENO);
        close(errors);
    }
    free(s.pager);
    free(s.snapshot[0]);
    free(s.snapshot[1]);
    return true;
}
