/* os/shared.h - one piece of memory that other processes of the same user can find and write.
 *
 * It has no name in any file system, so nothing is left behind however the process ends, nothing stands in anybody's way, and
 * nothing has to be removed: whoever looks for it looks through /proc/PID/fd, which works across pid namespaces too. It is a
 * sealed memory file, which nobody, root included, can make shorter: to read it never raises SIGBUS. Where a filter of system
 * calls (seccomp) was there before the process, which may end it for a call that it does not know, it is an unnamed file in
 * /dev/shm, made by calls that every program makes; only who opens it through /proc to cut it off can do harm then.
 *
 * The descriptor is 100 or above, and closed at exec. A program that closes descriptors it does not know closes this one too:
 * the memory stays, but nobody finds it any more.
 */
#ifndef OS_SHARED_H
#define OS_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Replaces the private mapping at `at`, whole pages, by such memory, zero; also what a former call has put there. One place a
 * process; calls do not overlap. 0 or -errno; then the mapping is as it was. -EPERM: a filter has been set meanwhile. */
int os_share(size_t length, void *at);

/* Whether it can still be found: costs a system call. */
bool os_share_is_open(void);

/* It is not to be found any more; the mapping stays. Harmless where the descriptor is somebody else's by now. */
void os_share_close(void);

/* Zeroed memory that is zero again in the child of any fork, also of one that runs no handlers, where the system can do that
 * (Linux 4.14). NULL with ENOMEM. */
void *os_map_forgotten(size_t length);

/* Maps a file of memory that another process shares, all of it, of at least so many bytes: *length is how many. No descriptor
 * stays. NULL with errno; EPROTO for what is no such file. */
void *os_join(const char *path, size_t least, size_t *length);
void os_leave(void *at, size_t length);

/* Sleeps while the word, which other processes write to, is `value`, for so many nanoseconds at most; and wakes all that do. */
void os_wait_shared(_Atomic uint32_t *word, uint32_t value, uint64_t ns);
void os_wake_shared(_Atomic uint32_t *word);

#endif
