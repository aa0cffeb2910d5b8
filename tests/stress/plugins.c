/* plugins.c - libraries that are loaded late, into a process whose threads have long been running: one that uses malloc, and
 * allot's own two. Those need room in the threads' static storage, which libc keeps little of, and they must not mind being
 * closed.
 *
 *     plugins PLUGIN LIBALLOT LIBALLOT_MALLOC
 */
#include "../common/check.h"
#include "../common/pattern.h"

#include <dlfcn.h>
#include <pthread.h>

enum { THREADS = 4, LOADS = 200, BLOCKS = 300 };

static char **paths;
static pthread_barrier_t barrier;
static void *(*take)(size_t), (*give)(void *);

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    CHECK(found);
    return found;
}

static void *open_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        snprintf(check_context, sizeof check_context, "%s", dlerror());
    CHECK(library);
    return library;
}

static void load_plugin(void)
{
    void *library = open_library(paths[1]);
    char *(*text)(size_t);
    void (*ends)(void);
    *(void **)&text = symbol(library, "plugin_text");
    *(void **)&ends = symbol(library, "plugin_thread_ends");
    char *mine[50];
    for (size_t i = 0; i < 50; i++)
        mine[i] = text(i * 100);
    ends();
    dlclose(library);
    for (size_t i = 0; i < 50; i++) {
        CHECK(strlen(mine[i]) == i * 100 && strspn(mine[i], "p") == i * 100);
        free(mine[i]);
    }
}

/* Blocks of a heap that was not there when the thread was born. */
static void use_late_heap(void)
{
    void *mine[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        mine[i] = take(i * 37);
        CHECK(mine[i]);
        pattern_fill(mine[i], i * 37, (uintptr_t)mine[i]);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        CHECK(pattern_holds(mine[i], i * 37, (uintptr_t)mine[i], true));
        give(mine[i]);
    }
}

static void *work(void *arg)
{
    for (unsigned i = 0; i < LOADS * test_scale() / THREADS; i++)
        load_plugin();
    for (int library = 2; library <= 3; library++) {
        pthread_barrier_wait(&barrier); /* the main thread loads it now */
        pthread_barrier_wait(&barrier);
        use_late_heap();
        pthread_barrier_wait(&barrier); /* and closes it */
    }
    return arg;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    paths = argv;
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (int i = 2; i <= 3; i++) {
        pthread_barrier_wait(&barrier);
        void *library = open_library(paths[i]);
        *(void **)&take = symbol(library, "allot_malloc");
        *(void **)&give = symbol(library, "allot_free");
        pthread_barrier_wait(&barrier);
        use_late_heap();
        pthread_barrier_wait(&barrier);
        void *kept = take(1000);
        dlclose(library);
        give(kept); /* it stays: threads' ends call into it */
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
