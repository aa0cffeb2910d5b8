/* preload/info.c - glibc's informational and tuning functions, with true figures where they have a meaning here. */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include <allot/malloc.h>

/* How glibc's words map: the arena is what is held in segments, hblk are the blocks with a mapping of their own,
 * uordblks what is live in segments, fordblks the rest of them, keepcost what malloc_trim could give back at most. */
ALLOT_API struct mallinfo2 mallinfo2(void)
{
    struct allot_stats s;
    allot_stats(&s);
    size_t arena = s.mapped - s.large - (s.metadata < s.mapped - s.large ? s.metadata : 0);
    size_t live = s.live - s.large;
    return (struct mallinfo2){
        .arena = arena,
        .ordblks = s.blocks - s.large_blocks,
        .hblks = s.large_blocks,
        .hblkhd = s.large,
        .uordblks = live,
        .fordblks = arena > live ? arena - live : 0,
        .keepcost = s.kept,
    };
}

static int clamp(size_t x) { return x > INT_MAX ? INT_MAX : (int)x; }

/* The old form counts in int; figures beyond stay at its limit instead of wrapping. */
ALLOT_API struct mallinfo mallinfo(void)
{
    struct mallinfo2 m = mallinfo2();
    return (struct mallinfo){
        .arena = clamp(m.arena),
        .ordblks = clamp(m.ordblks),
        .hblks = clamp(m.hblks),
        .hblkhd = clamp(m.hblkhd),
        .uordblks = clamp(m.uordblks),
        .fordblks = clamp(m.fordblks),
        .keepcost = clamp(m.keepcost),
    };
}

/* glibc's knobs tune mechanisms that are not here: they are taken as read. 1 for a known one, 0 for any other. */
ALLOT_API int mallopt(int parameter, int value)
{
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}

/* `pad` is what glibc keeps at the top of its heap; there is no such top. 1 when memory went back to the system. */
ALLOT_API int malloc_trim(size_t pad)
{
    (void)pad;
    return allot_trim() > 0;
}

ALLOT_API void malloc_stats(void) { allot_stats_print(STDERR_FILENO, false); }

enum { MAX_CLASSES = 128 };

/* XML of glibc's form: a <heap> with the free blocks of each size, then the totals. */
ALLOT_API int malloc_info(int options, FILE *out)
{
    if (options != 0) {
        return EINVAL;
    }
    struct allot_class_stats class[MAX_CLASSES];
    size_t classes = allot_stats_classes(class, MAX_CLASSES), free_blocks = 0, free_bytes = 0;
    struct mallinfo2 m = mallinfo2();
    fprintf(out, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n");
    for (size_t i = 0; i < classes && i < MAX_CLASSES; i++) {
        fprintf(out, "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n", i ? class[i - 1].size + 1 : 1,
                class[i].size, class[i].free * class[i].size, class[i].free);
        free_blocks += class[i].free;
        free_bytes += class[i].free * class[i].size;
    }
    fprintf(out, "</sizes>\n<total type=\"fast\" count=\"0\" size=\"0\"/>\n");
    fprintf(out, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", free_blocks, free_bytes);
    fprintf(out, "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n", m.arena, m.arena);
    fprintf(out, "<aspace type=\"total\" size=\"%zu\"/>\n<aspace type=\"mprotect\" size=\"%zu\"/>\n</heap>\n", m.arena,
            m.arena);
    fprintf(out, "<total type=\"fast\" count=\"0\" size=\"0\"/>\n");
    fprintf(out, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", free_blocks, free_bytes);
    fprintf(out, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", m.hblks, m.hblkhd);
    fprintf(out, "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n", m.arena, m.arena);
    fprintf(out, "<aspace type=\"total\" size=\"%zu\"/>\n<aspace type=\"mprotect\" size=\"%zu\"/>\n</malloc>\n",
            m.arena, m.arena);
    return 0;
}
