/* os/fence.h - address space that nobody can access, around memory and in place of what was freed. */
#ifndef OS_FENCE_H
#define OS_FENCE_H

#include <stdbool.h>
#include <stddef.h>

/* Once, for a process that uses any: how many areas the kernel may make of its mappings (vm.max_map_count), and where in the
 * address space aligned mappings begin from now on: at random. */
void os_fence_init(void);

/* Fences may cost a quarter of those areas. So many more; false, and nothing is counted, when that is too many. */
bool os_areas_take(size_t areas);
void os_areas_give(size_t areas);

/* `room` bytes at a multiple of `align`, and a page more before and behind, none of which can be accessed: os_open makes it
 * memory, zero. NULL with ENOMEM. */
void *os_map_fenced(size_t room, size_t align);
void os_unmap_fenced(void *at, size_t room);

/* Makes pages of it accessible; false when the system refuses. Those that were before are as they were. */
bool os_open(void *at, size_t length);

/* And inaccessible: with what is in them, or for good. False when the system refuses; they are zero then, where they were to go
 * for good. */
bool os_shut(void *at, size_t length);
bool os_fence(void *at, size_t length);

#endif
