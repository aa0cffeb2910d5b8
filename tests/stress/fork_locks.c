/* fork_locks.c - forks that meet the locks of others: libc's of its streams, held by threads that allocate meanwhile; and,
 * from a signal's handler, those of the malloc or free that the signal came into. The test is that it ends.
 */
#include "../common/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGE = 1 << 20, SIGNALS = 50, BLOCKS = 500, LARGEST = 70000 };

static void fork_once(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(0);
    int status;
    while (waitpid(pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    CHECK(status == 0);
}

/* -- streams: one thread has a stream, one has the list of streams and waits for the first, one forks and waits for the
 * list; then the first allocates, as getline does while it has its stream -- */

static atomic_int flusher_id, forker_id;
static FILE *stream;

static void wait_until_it_sleeps(atomic_int *thread)
{
    char path[64], text[64] = "";
    while (atomic_load(thread) == 0)
        ;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", atomic_load(thread));
    while (!strstr(text, ") S ")) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0);
        CHECK(read(fd, text, sizeof text - 1) > 0);
        close(fd);
    }
}

static void *flusher(void *arg)
{
    atomic_store(&flusher_id, (int)syscall(SYS_gettid));
    CHECK(fflush(NULL) == 0);
    return arg;
}

/* Handlers that are registered later run earlier: the next to come is the heap's, then the fork. */
static void about_to_fork(void) { atomic_store(&forker_id, (int)syscall(SYS_gettid)); }

static void *forker(void *arg)
{
    fork_once();
    return arg;
}

static void fork_beside_streams(void)
{
    pthread_t threads[2];
    stream = tmpfile();
    CHECK(stream && putc('x', stream) == 'x' && pthread_atfork(about_to_fork, NULL, NULL) == 0);
    flockfile(stream);
    CHECK(pthread_create(&threads[0], NULL, flusher, NULL) == 0);
    wait_until_it_sleeps(&flusher_id);
    CHECK(pthread_create(&threads[1], NULL, forker, NULL) == 0);
    wait_until_it_sleeps(&forker_id);
    void *p = malloc(LARGE);
    CHECK(p);
    free(p);
    funlockfile(stream);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    fclose(stream);
}

/* -- signals, while there is one thread -- */

static volatile sig_atomic_t signals;

static void handle(int signal)
{
    (void)signal;
    int saved = errno;
    fork_once();
    signals++;
    errno = saved;
}

static void forks_in_handlers(void)
{
    struct sigaction action = {.sa_handler = handle};
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    void *block[BLOCKS] = {NULL};
    for (unsigned i = 0; signals < SIGNALS; i = (i + 1) % BLOCKS) {
        free(block[i]);
        block[i] = malloc(1 + (i * 7919u) % LARGEST);
        CHECK(block[i]);
    }
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    for (int i = 0; i < BLOCKS; i++)
        free(block[i]);
}

int main(void)
{
    forks_in_handlers();
#ifdef __GLIBC__ /* musl's fork takes its list of streams after all handlers too, and nobody else can take it before them */
    fork_beside_streams();
#else
    (void)fork_beside_streams;
#endif
    return 0;
}
