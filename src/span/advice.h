/* span/advice.h - which large blocks are to be in huge pages.
 *
 * Huge pages save most of what a fresh block costs, where it is written throughout. Whether this program's are, those tell that
 * it frees and those that grow: some of their pages are looked at. Of a block in huge pages only the end tells anything, since
 * it does not fill one.
 */
#ifndef SPAN_ADVICE_H
#define SPAN_ADVICE_H

#include <stdbool.h>
#include <stddef.h>

/* How a mapping was advised as a whole, or made. What is not alike are two areas of the kernel's. */
enum pages { PAGES_AS_EVERYWHERE, PAGES_HUGE, PAGES_SMALL, PAGES_HUGETLB };

/* Learns from a block that ends or grows. The caller holds a lock, always the same. */
void advice_learn(const void *at, size_t length);

/* Whether so long a block is likely to be written throughout: what was seen says nothing about much longer ones. With that
 * lock. */
bool advice_likely_full(size_t length);

/* Advises a mapping of which nothing is touched beyond `old`, and where that was left as everywhere, if it is likely to be
 * `full`. */
enum pages advise(bool full, char *at, size_t old, size_t length);

#endif
