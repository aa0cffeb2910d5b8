/* os/maps.h - the mappings of this process, as the kernel lists them: read without libc's help, so also in the child of a fork that
 * nobody prepared. */
#ifndef OS_MAPS_H
#define OS_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OS_MAP_READ = 1, OS_MAP_WRITE = 2, OS_MAP_EXEC = 4, OS_MAP_SHARED = 8 };

struct os_mapping {
    uintptr_t from, to;
    unsigned flags;
    uint64_t offset;  /* in the file that it maps */
    const char *name; /* "" for none; as long as the list */
};

struct os_maps {
    struct os_mapping *mapping; /* by address */
    size_t count, room;
    char *text;
    size_t text_room;
};

/* False with memory out, or where there is no such list. Freed also then. */
bool os_maps_read(struct os_maps *maps);
void os_maps_free(struct os_maps *maps);

/* The mapping that an address lies in, or NULL. Whether so many bytes can be read, of one mapping or several. */
const struct os_mapping *os_maps_find(const struct os_maps *maps, uintptr_t address);
bool os_maps_can_read(const struct os_maps *maps, uintptr_t from, size_t bytes);

#endif
