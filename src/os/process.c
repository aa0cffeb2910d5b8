/* os/process.c - see os/process.h. */
#define _GNU_SOURCE
#include "os/process.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

void os_on_fork(struct os_fork_steps steps) { pthread_atfork(steps.before, steps.in_parent, steps.in_child); }

static pthread_key_t key;
static bool have_key;
static void (*exit_step)(void);

/* libc runs the destructors in rounds, as long as some key was set again, for at least PTHREAD_DESTRUCTOR_ITERATIONS
 * rounds. The value of the key counts them. The step runs in the last but one: the sanitizers leave the thread in the last,
 * and no instrumented code may run after that. */
#define LAST_ROUND (PTHREAD_DESTRUCTOR_ITERATIONS - 1)

static void thread_ends(void *value)
{
    uintptr_t round = (uintptr_t)value;
    if (round < LAST_ROUND && pthread_setspecific(key, (void *)(round + 1)) == 0) {
        return;
    }
    exit_step();
}

bool os_on_thread_exit(void (*step)(void))
{
    exit_step = step;
    have_key = pthread_key_create(&key, thread_ends) == 0;
    return have_key;
}

void os_watch_thread(void)
{
    if (have_key) {
        pthread_setspecific(key, (void *)1);
    }
}

int os_thread_id(void) { return (int)syscall(SYS_gettid); }

/* The kernel's copy of the environment the program was started with. Read a piece at a time: the name may lie anywhere.
 */
static bool getenv_from_kernel(const char *name, char *out, unsigned size)
{
    int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    size_t matched = 0, length = strlen(name);
    unsigned copied = 0;
    bool found = false, candidate = true, ended = false;
    char piece[512];
    for (ssize_t n; !ended && (n = read(fd, piece, sizeof piece)) > 0;) {
        for (ssize_t i = 0; i < n && !ended; i++) {
            char c = piece[i];
            if (found) {
                if (c == 0 || copied + 1 >= size) {
                    ended = true;
                } else {
                    out[copied++] = c;
                }
            } else if (c == 0) {
                matched = 0;
                candidate = true;
            } else if (candidate && matched == length && c == '=') {
                found = true;
            } else if (candidate && matched < length && c == name[matched]) {
                matched++;
            } else {
                candidate = false;
            }
        }
    }
    close(fd);
    if (found) {
        out[copied] = 0;
    }
    return found;
}

bool os_getenv(const char *name, char *out, unsigned size)
{
    if (!environ) {
        return getenv_from_kernel(name, out, size);
    }
    size_t length = strlen(name);
    for (char **entry = environ; *entry; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') {
            const char *value = *entry + length + 1;
            size_t n = strlen(value);
            if (n >= size) {
                n = size - 1;
            }
            memcpy(out, value, n);
            out[n] = 0;
            return true;
        }
    }
    return false;
}

bool os_is_privileged(void) { return getauxval(AT_SECURE) != 0; }
