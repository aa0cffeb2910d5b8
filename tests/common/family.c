/* family.c - where the toolkit's functions are: linked in, or found in the process by name. */
#include "check.h"

#include <dlfcn.h>

#include "family.h"

struct toolkit toolkit;

/* Every member of the toolkit with the function's name. */
#define TOOLKIT_MEMBERS(X)                    \
    X(try_expand, allot_try_expand)           \
    X(trim, allot_trim)                       \
    X(option, allot_option)                   \
    X(stats, allot_stats)                     \
    X(resident, allot_resident)               \
    X(stats_classes, allot_stats_classes)     \
    X(stats_heaps, allot_stats_heaps)         \
    X(stats_print, allot_stats_print)         \
    X(walk, allot_walk)                       \
    X(check, allot_check)                     \
    X(fail_after, allot_fail_after)           \
    X(thread_latency, allot_thread_latency)   \
    X(heap_init, allot_heap_init)             \
    X(heap_alloc, allot_heap_alloc)           \
    X(heap_aligned, allot_heap_aligned)       \
    X(heap_free, allot_heap_free)             \
    X(heap_free_sized, allot_heap_free_sized) \
    X(heap_adopt, allot_heap_adopt)           \
    X(heap_reset, allot_heap_reset)           \
    X(heap_done, allot_heap_done)             \
    X(heap_stats, allot_heap_stats)           \
    X(heap_check, allot_heap_check)           \
    X(tag, allot_tag)                         \
    X(tag_soft, allot_tag_soft)               \
    X(tag_enter, allot_tag_enter)             \
    X(tag_used, allot_tag_used)               \
    X(tag_name, allot_tag_name)               \
    X(stats_tags, allot_stats_tags)

#if defined ALLOT_NAMES || defined ALLOT_STATIC

#ifdef ALLOT_NAMES
#define FREE_SIZED         allot_free_sized
#define FREE_ALIGNED_SIZED allot_free_aligned_sized
#else
extern void free_sized(void *p, size_t size);
extern void free_aligned_sized(void *p, size_t align, size_t size);
#define FREE_SIZED         free_sized
#define FREE_ALIGNED_SIZED free_aligned_sized
#endif

bool toolkit_find(void)
{
#define LINKED(member, name) .member = name,
    toolkit =
        (struct toolkit){.free_sized = FREE_SIZED, .free_aligned_sized = FREE_ALIGNED_SIZED, TOOLKIT_MEMBERS(LINKED)};
    return true;
}

#else

static void *symbol(const char *name, bool needed)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    if (!found && needed) {
        snprintf(check_context, sizeof check_context, "allot is in the process without %s", name);
        CHECK(found);
    }
    return found;
}

bool toolkit_find(void)
{
    bool present = symbol("allot_malloc", false) != NULL;
#define FOUND(member, name)                            \
    do {                                               \
        void *found = symbol(#name, present);          \
        memcpy(&toolkit.member, &found, sizeof found); \
    } while (0);
    FOUND(free_sized, free_sized)
    FOUND(free_aligned_sized, free_aligned_sized)
    TOOLKIT_MEMBERS(FOUND)
    return present;
}

#endif

void toolkit_check(void)
{
    if (toolkit.check)
        CHECK(toolkit.check());
}

bool exact_sizes(void)
{
    void *p = malloc(1);
    size_t usable = malloc_usable_size(p);
    free(p);
    return usable == 1;
}
