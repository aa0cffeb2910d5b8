/* deeds.h - a program of deeds: with a name it does that one, without any it says all names. Those that begin with "well" are no crimes.
 * See deeds, the script.
 */
#ifndef WATCH_DEEDS_H
#define WATCH_DEEDS_H

#include <stdio.h>
#include <string.h>

struct deed {
    const char *name;
    void (*does)(void);
};
#define DEED(name)  \
    {               \
#name, name \
    }

static inline int deeds_main(int argc, char **argv, const struct deed *deeds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (argc < 2) {
            puts(deeds[i].name);
        } else if (strcmp(argv[1], deeds[i].name) == 0) {
            deeds[i].does();
        }
    }
    return 0;
}

#endif
