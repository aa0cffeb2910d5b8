/* spawn.c - every other way to start a program, while threads hammer the heap: vfork, posix_spawn, system, popen. A child of
 * vfork shares the memory until it is another program.
 */
#include "../common/check.h"

#include "parcel.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "../common/family.h"

enum { THREADS = 3, ROUNDS = 40 };

extern char **environ;

static atomic_bool over;

static void *hammer(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    void *mine[50] = {NULL};
    while (!atomic_load(&over)) {
        void **slot = &mine[random_below(&random, 50)];
        parcel_free(*slot);
        *slot = parcel_make(&random);
    }
    for (int i = 0; i < 50; i++)
        parcel_free(mine[i]);
    return NULL;
}

static void expect_exit(pid_t child, int code)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
}

static void start_programs(void)
{
    pid_t child = vfork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "exit 3", (char *)NULL);
        _exit(99);
    }
    expect_exit(child, 3);

    child = vfork();
    if (child == 0)
        _exit(5);
    expect_exit(child, 5);

    char *arguments[] = {"sh", "-c", "exit 7", NULL};
    CHECK(posix_spawnp(&child, "sh", NULL, NULL, arguments, environ) == 0);
    expect_exit(child, 7);

    int status = system("exit 9");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);

    char line[16] = "";
    FILE *reader = popen("echo eleven", "r");
    CHECK(reader && fgets(line, sizeof line, reader) && strcmp(line, "eleven\n") == 0);
    CHECK(pclose(reader) == 0);
}

int main(void)
{
    toolkit_find();
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)) == 0);
    for (unsigned i = 0; i < ROUNDS * test_scale(); i++)
        start_programs();
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    toolkit_check();
    return 0;
}
