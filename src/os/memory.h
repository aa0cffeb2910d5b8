/* os/memory.h - address space and pages from the system.
 *
 * Every request for memory goes through here, so that running out can be rehearsed (os_fail_after) and what is mapped
 * can be counted. All memory is private, anonymous, readable and writable; it costs nothing until it is touched. Any
 * thread. Lengths are bytes; they are rounded up to whole pages.
 */
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Bytes of a page; known after os_memory_init, which may be called more than once. */
extern size_t os_page;
void os_memory_init(void);

/* Zeroed memory, or NULL with ENOMEM. The aligned form wants a power of two. */
void *os_map(size_t length);
void *os_map_aligned(size_t length, size_t align);
/* The same of more than may ever be used, or than there is: the system does not hold the length against the memory that it has, neither
 * here nor when the process forks, unless it never does otherwise (vm.overcommit_memory=2). */
void *os_reserve(size_t length, size_t align);

/* Gives a mapping, or whole pages of one, back. When the system cannot split a mapping any further the pages are purged
 * and the address space stays taken. */
void os_unmap(void *at, size_t length);

/* Makes whole pages inaccessible, or accessible again; false, with errno as it was, when the system has no more mappings. */
bool os_protect(void *at, size_t length, bool accessible);

/* Makes whole pages inside [at, at + length) zero and not resident. Returns the bytes covered. */
size_t os_purge(void *at, size_t length);

/* Makes many ranges of whole pages zero and not resident; in one system call where the system has one (Linux 6.14) and does
 * not filter the thread's calls. For each call all cores that run a thread of the process are interrupted. Returns how many,
 * from the first on, it could. */
#define OS_PURGE_MANY 64
size_t os_purge_many(const struct iovec *ranges, size_t count);

/* Huge pages: 2 MiB, aligned to as much. */
#define OS_HUGE_PAGE ((size_t)2 << 20)

/* No huge pages in [at, at + length), whatever the system does elsewhere, but by os_huge_page. */
void os_small_pages(void *at, size_t length);

/* The time in nanoseconds that a huge page is worth. */
extern int64_t os_huge_page_worth;

/* Whether a huge page is worth asking for: not for a while after the system took longer for one than for small pages (it had to
 * move others together, or its host to find memory); for longer each time. */
bool os_huge_pages_worth_it(void);

/* Makes OS_HUGE_PAGE bytes, which nobody uses, one huge page, zero and resident. False when the system has none; then a small
 * page of them is resident. */
bool os_huge_page(void *at);

/* Asks for huge pages in a mapping, and touches the one at `from` (a multiple of their size), of which nothing is resident.
 * False when that was not worth it; then all is left to small pages. */
bool os_huge_pages(void *at, size_t from, size_t length);

/* Explicit huge pages, of the pool that whoever runs the system has set aside (nr_hugepages): their size, 2 MiB or 1 GiB, or 0
 * for none. */
extern _Atomic size_t os_hugetlb_page;

/* Zeroed memory of such pages, a multiple of their size; or NULL, with errno as it was, when the pool has not that many left.
 * They are set aside for this process at once, so touching them cannot fail later; but see fork. Such memory is not to be
 * purged, cut or resized: the kernel refuses for less than a whole page, or says that it did and did not. */
void *os_map_hugetlb(size_t length, size_t align);

/* Makes a mapping `now` bytes long in place; false when what follows it is taken. Shrinking always succeeds. */
bool os_resize(void *at, size_t old, size_t now);

/* Moves the pages of a mapping into another one of `now` bytes, which they replace; the old one is gone. No copying.
 * False when the system refuses: then the old one is as it was, and `place` is lost, as it may be gone already (Linux
 * before 6.17) and somebody else's. */
bool os_move(void *at, size_t old, void *place, size_t now);

/* How many bytes of [at, at + length) lie in memory now. */
size_t os_resident(void *at, size_t length);

/* Whether the word at `address`, a multiple of 8, can be read: the kernel says, where a load might end the process. No mapping
 * is looked up or kept; async-signal-safe. */
bool os_readable(uintptr_t address);

/* Bytes mapped through here at present. */
size_t os_mapped(void);

/* And of mappings that are made elsewhere on this floor: so many bytes more or less, or gone back; where aligned ones are tried from now on;
 * and whether this request is one of those that fail. */
void os_count_mapped(ptrdiff_t bytes);
void os_count_back(size_t bytes);
void os_map_below(uintptr_t address);
bool os_refused(void);

/* Bytes that have gone back through here so far, by purging or unmapping, whether they were resident or not. */
size_t os_given_back(void);

/* After n more requests for memory each one fails; negative: none does. */
void os_fail_after(long n);

#endif
