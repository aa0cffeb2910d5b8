/* top/screen.h - the live view: ncurses, keys, and what they do. */
#ifndef ALLOT_TOP_SCREEN_H
#define ALLOT_TOP_SCREEN_H

#include "top/feed.h"
#include "top/places.h"
#include "top/rows.h"

struct screen_wanted {
    double every; /* seconds */
    enum rows_view view;
    enum rows_sort sort;
    const char *folder; /* of snapshots */
    bool colour;
};

/* Until somebody has had enough, or the process ends. Standard error is the screen's meanwhile. False: there is no screen, and it is
 * complained. */
bool screen_run(struct feed *feed, struct places *places, const struct screen_wanted *wanted);

#endif
