/* span/advice.c - see span/advice.h. */
#include "span/advice.h"

#include "base/bits.h"
#include "os/memory.h"

/* How many blocks in a row were resident wherever one looked, FULL_ENOUGH at most; and the longest of them, in bytes. */
enum { FULL_ENOUGH = 2 };
static unsigned full_lately;
static size_t full_longest;

void advice_learn(const void *at, size_t length)
{
    enum { LOOKS = 4 };
    bool full = true;
    if (length < OS_HUGE_PAGE) {
        return;
    }
    for (size_t i = 1; full && i <= LOOKS; i++) {
        full = os_resident((char *)at + align_down(length / LOOKS * i - os_page, os_page), os_page) != 0;
    }
    full_lately = full ? (unsigned)size_min(full_lately + 1, FULL_ENOUGH) : 0;
    full_longest = full ? size_max(full_longest, length) : 0;
}

bool advice_likely_full(size_t length) { return full_lately == FULL_ENOUGH && length / 4 <= full_longest; }

enum pages advise(bool full, char *at, size_t old, size_t length)
{
    size_t from = align_up(old, OS_HUGE_PAGE);
    if (!full || from + OS_HUGE_PAGE > length || !os_huge_pages_worth_it()) {
        return PAGES_AS_EVERYWHERE;
    }
    return os_huge_pages(at, from, length) ? PAGES_HUGE : PAGES_SMALL;
}
