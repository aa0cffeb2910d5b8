/* phases.c - a program that fits into its memory only if the heap gives back what it no longer uses: one size of block after
 * the other, each as many as make LIVE, all but a few freed at the phase's end. In all that is ROUNDS * SIZES times LIVE.
 * Under a limit of 256 MiB that ends the process (a memory cgroup's), it must live; without one it is just a test.
 */
#include "../common/check.h"
#include "../common/pattern.h"

#include "../common/family.h"

#define LIVE ((size_t)40 << 20)
#define KEEP ((size_t)1000) /* one block of so many stays to the end */

enum { ROUNDS = 3 };

static const size_t sizes[] = {24, 240, 1000, 5000, 40000, 300000, 3000000};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* The blocks of a phase, and those that stay, are chained through their first bytes. */
struct link {
    struct link *next;
    size_t size;
};

static struct link *made, *stay;

static void make(size_t size)
{
    struct link *link = malloc(size);
    CHECK(link);
    memset(link, 1, size); /* all of it, as pattern_fill does not */
    pattern_fill(link + 1, size - sizeof *link, (uintptr_t)link);
    *link = (struct link){made, size};
    made = link;
}

static void end(struct link **chain, size_t keep)
{
    for (size_t n = 1; *chain; n++) {
        struct link *link = *chain;
        CHECK(pattern_holds(link + 1, link->size - sizeof *link, (uintptr_t)link, true));
        *chain = link->next;
        if (n % keep == 0) {
            link->next = stay;
            stay = link;
        } else {
            free(link);
        }
    }
}

int main(void)
{
    toolkit_find();
    for (int phase = 0; phase < ROUNDS * SIZES; phase++) {
        size_t size = sizes[phase % SIZES];
        for (size_t had = 0; had < LIVE; had += size)
            make(size);
        end(&made, KEEP);
        toolkit_check();
    }
    end(&stay, SIZE_MAX);
    return 0;
}
