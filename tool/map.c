/* allot map - the heap as a picture. What is drawn is made by map/picture.c; how, in map/draw.c and map/glyphs.c. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "map/picture.h"
#include "outfile.h"
#include "progress.h"
#include "words.h"

static const char help[] =
    "usage: allot map [OPTION...] TRACE | SNAPSHOT | CORE\n"
    "       allot map [OPTION...] -p PID\n"
    "\n"
    "Draws a heap: from left to right its addresses, as high as they are full; colours are the places\n"
    "in the program whose blocks they are. Addresses that never held a block are left out. Beneath:\n"
    "which places keep pages that are nearly empty, and so keep memory from going back.\n"
    "\n"
    "  -p, --pid=PID         of a process on allot's malloc, which takes a snapshot of itself\n"
    "  -o, --output=FILE     a PNG; else it is drawn in the terminal\n"
    "  -t, --time            of a trace: addresses from below to above, time from left to right,\n"
    "                        coloured by how full they are\n"
    "      --at=WHEN         of a trace: peak (as it is without), end, or a time like 1.5s\n"
    "      --process=N       of a trace of several processes: that one; else the one that held most\n"
    "  -W, --width=N         pixels of the PNG, 1600; or columns\n"
    "  -H, --height=N        pixels of the PNG, 900; or lines of the map\n"
    "      --theme=THEME     of the PNG: light or dark\n"
    "  -n, --top=N           so many places beneath; 10\n"
    "  -j, --json            for a machine to read; --width is the number of pieces\n"
    "  -h, --help            this text\n"
    "\n"
    "Exit status: 0; 1 where there is no picture; 2 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  allot map app.allot                       at its peak, here\n"
    "  allot map --time -o heap.png app.allot    how it came to be so\n"
    "  allot map -p 4711 -o now.png --theme dark of a server that runs\n"
    "  allot map --at end app.allot              what is left, and where\n"
    "  allot map core.4711                       of one that died\n";

enum { AT = 256, PROCESS, THEME };
enum { PIXELS_LEAST = 320, PIXELS_MOST = 16384, HEIGHT_LEAST = 240, CELLS_LEAST = 20, CELLS_MOST = 4000 };

struct request {
    struct picture_wanted picture;
    const char *output;
    unsigned width, height, top; /* 0: as it fits */
    bool time, dark, json;
};

static bool read_moment(struct picture_wanted *p)
{
    if (strcmp(optarg, "peak") == 0 || strcmp(optarg, "end") == 0) {
        p->at = *optarg == 'p' ? HEAP_MAP_AT_PEAK : HEAP_MAP_AT_END;
        return true;
    }
    p->at = HEAP_MAP_AT_TIME;
    if (!words_read_ns(optarg, &p->time)) {
        complain("map: --at %s, on the command line, takes peak, end or a time like 1.5s or 200ms", optarg);
        return false;
    }
    return true;
}

static bool read_option(void *request, int option)
{
    struct request *r = request;
    uint64_t number;
    switch (option) {
    case 'p':
        if (!take_number("map", "pid", optarg, 1, INT32_MAX, &number)) {
            return false;
        }
        r->picture.pid = (pid_t)number;
        return true;
    case 'o':
        r->output = optarg;
        return true;
    case 't':
        return r->time = true;
    case AT:
        return read_moment(&r->picture);
    case PROCESS:
        if (!take_number("map", "process", optarg, 1, UINT32_MAX, &number)) {
            return false;
        }
        r->picture.process = (uint32_t)number;
        return true;
    case 'W':
    case 'H':
        if (!take_number("map", option == 'W' ? "width" : "height", optarg, 1, PIXELS_MOST, &number)) {
            return false;
        }
        *(option == 'W' ? &r->width : &r->height) = (unsigned)number;
        return true;
    case THEME:
        r->dark = strcmp(optarg, "dark") == 0;
        if (!r->dark && strcmp(optarg, "light") != 0) {
            complain("map: --theme %s, on the command line, takes light or dark", optarg);
            return false;
        }
        return true;
    case 'n':
        if (!take_number("map", "top", optarg, 0, UINT32_MAX, &number)) {
            return false;
        }
        r->top = (unsigned)number;
        return true;
    default:
        return r->json = true;
    }
}

/* What is to be drawn at least and at most. */
static bool check_sizes(struct request *r)
{
    if (r->output) {
        r->width = r->width ? r->width : 1600;
        r->height = r->height ? r->height : 900;
        if (r->width < PIXELS_LEAST || r->height < HEIGHT_LEAST) {
            complain("map: a picture of %u by %u pixels, on the command line, give %d by %d at least", r->width,
                     r->height, PIXELS_LEAST, HEIGHT_LEAST);
            return false;
        }
    } else if ((r->width && r->width < CELLS_LEAST) || r->width > CELLS_MOST || r->height > CELLS_MOST) {
        complain("map: --width %u --height %u, on the command line, of columns and lines take %d to %d", r->width,
                 r->height, CELLS_LEAST, CELLS_MOST);
        return false;
    }
    return true;
}

/* 0: go on; else the exit status and 1. */
static int read_arguments(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        {"pid", required_argument, NULL, 'p'},
        {"output", required_argument, NULL, 'o'},
        {"time", no_argument, NULL, 't'},
        {"at", required_argument, NULL, AT},
        {"process", required_argument, NULL, PROCESS},
        {"width", required_argument, NULL, 'W'},
        {"height", required_argument, NULL, 'H'},
        {"theme", required_argument, NULL, THEME},
        {"top", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *r = (struct request){.top = 10};
    int status = command_options("map", argc, argv, ":p:o:tW:H:n:jh", options, help, read_option, r);
    if (status) {
        return status;
    }
    int files = argc - optind;
    if (files != (r->picture.pid ? 0 : 1) || (r->json && r->output)) {
        complain("map: %s, on the command line, see allot map --help", r->json && r->output ? "--json and --output"
                                                                       : r->picture.pid     ? "a process and a file"
                                                                       : files              ? "more than one file"
                                                                               : "neither a file nor a process");
        return EXIT_USAGE + 1;
    }
    r->picture.path = r->picture.pid ? NULL : argv[optind];
    return check_sizes(r) ? 0 : EXIT_USAGE + 1;
}

static struct draw_wanted draw_of(const struct request *r)
{
    return (struct draw_wanted){
        .width = r->width, .height = r->height, .top = r->top, .dark = r->dark, .path = r->output};
}

/* How many rows and columns the map has at most, by what it is drawn on. */
static struct glyphs_wanted plan(struct request *r)
{
    struct glyphs_wanted g = {
        .columns = r->width, .lines = r->height, .colour = words_colour(), .utf8 = words_utf8(), .top = r->top};
    size_t columns = words_columns();
    g.columns = g.columns ? g.columns : columns >= CELLS_LEAST ? (unsigned)columns : 100;
    g.lines = g.lines ? g.lines : r->time ? 24 : 12;
    if (r->output) {
        struct draw_wanted draw = draw_of(r);
        picture_plot_size(&draw, r->time, &r->picture.rows, &r->picture.columns);
    } else if (r->json) {
        unsigned width = r->width ? r->width : 512;
        r->picture.rows = r->time ? (r->height ? r->height : 512) : width;
        r->picture.columns = r->time ? width : 0;
    } else if (r->time) {
        r->picture.rows = g.lines * (g.colour && g.utf8 ? 2 : 1);
        r->picture.columns = g.columns > 40 ? g.columns - 17 : 20;
    } else {
        r->picture.rows = g.columns > 20 ? (g.columns - 6) * 15 / 16 : 14;
    }
    return g;
}

int command_map(int argc, char **argv)
{
    struct request r;
    struct picture picture;
    int status = read_arguments(argc, argv, &r);
    if (status) {
        return status - 1;
    }
    int error = r.output ? outfile_check(r.output) : 0;
    if (error) {
        complain("%s: %s, give another --output", r.output, strerror(-error));
        return 1;
    }
    struct glyphs_wanted glyphs = plan(&r);
    bool done = picture_make(&r.picture, &picture, progress_show);
    if (done && r.output) {
        struct draw_wanted draw = draw_of(&r);
        done = picture_draw(&picture, &draw);
    } else if (done && r.json) {
        picture_tell(&picture);
    } else if (done) {
        picture_print(&picture, &glyphs);
    }
    picture_end(&picture);
    return done ? 0 : 1;
}
