/* sqlite.c - SQLite on allot's memory: sqlite3_mem_methods over a heap of its own.
 *
 * The hooks are the process's, come without a context, and free without a size, so no arena can stand behind them. A heap of
 * SQLite's own counts what SQLite holds, keeps it apart from the program's blocks, and shows what is left over after
 * sqlite3_shutdown. A heap is one thread's, so a lock passes it from thread to thread: the hooks themselves are called by all.
 * Without these wishes the hooks are allot_malloc, allot_free and allot_malloc_usable_size alone, and without a lock.
 *
 *     cc sqlite.c $(pkg-config --cflags --libs sqlite3 allot) -pthread
 */
#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include <allot/heap.h>

static struct {
    pthread_mutex_t lock;
    struct allot_heap heap; /* of the thread that has the lock */
} of_sqlite = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    pthread_mutex_lock(&of_sqlite.lock);
    allot_heap_adopt(&of_sqlite.heap);
}

static void unlock(void) { pthread_mutex_unlock(&of_sqlite.lock); }

static void *memory_malloc(int size)
{
    lock();
    void *p = allot_heap_alloc(&of_sqlite.heap, (size_t)size);
    unlock();
    return p;
}

static void memory_free(void *p)
{
    lock();
    allot_heap_free(&of_sqlite.heap, p);
    unlock();
}

static int memory_size(void *p) { return (int)allot_malloc_usable_size(p); }

static void *memory_realloc(void *p, int size)
{
    if (allot_malloc_usable_size(p) >= (size_t)size) {
        return p;
    }
    lock();
    void *q = p;
    if (!allot_try_expand(p, (size_t)size)) {
        q = allot_heap_alloc(&of_sqlite.heap, (size_t)size);
        if (q) {
            memcpy(q, p, allot_malloc_usable_size(p));
            allot_heap_free(&of_sqlite.heap, p);
        }
    }
    unlock();
    return q;
}

static int memory_roundup(int size) { return (size + 15) & ~15; }

static int memory_init(void *arg)
{
    (void)arg;
    return allot_heap_init(&of_sqlite.heap, NULL) == 0 ? SQLITE_OK : SQLITE_NOMEM;
}

/* What SQLite has not given back by now it never will. */
static size_t left_over;

static void memory_shutdown(void *arg)
{
    (void)arg;
    lock();
    struct allot_stats stats;
    allot_heap_stats(&of_sqlite.heap, &stats);
    left_over = stats.blocks;
    allot_heap_done(&of_sqlite.heap);
    unlock();
}

/* Before anything else of SQLite is called. */
static int sqlite_on_allot(void)
{
    static const sqlite3_mem_methods methods = {.xMalloc = memory_malloc,
                                                .xFree = memory_free,
                                                .xRealloc = memory_realloc,
                                                .xSize = memory_size,
                                                .xRoundup = memory_roundup,
                                                .xInit = memory_init,
                                                .xShutdown = memory_shutdown};
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

static int one_number(void *arg, int columns, char **values, char **names)
{
    (void)columns;
    (void)names;
    if (values[0]) { /* it is NULL also where memory is out; sqlite3_exec then says so */
        sscanf(values[0], "%lld", (long long *)arg);
    }
    return 0;
}

/* Asks a new database in memory, which ends there. SQLITE_OK, or SQLite's error. */
static int ask(const char *sql, long long *result)
{
    sqlite3 *db;
    *result = -1;
    int status = sqlite3_open(":memory:", &db);
    if (status == SQLITE_OK) {
        status = sqlite3_exec(db, sql, one_number, result, NULL);
    }
    sqlite3_close(db); /* also one that open could not finish; NULL is ignored */
    return status;
}

static const char work[] = "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, price INT);"
                           "CREATE INDEX by_name ON t(name);"
                           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
                           "INSERT INTO t SELECT i, 'item ' || (i * 7919 % 2003), i * 31 % 997 FROM n;"
                           "DELETE FROM t WHERE id % 3 = 0;"
                           "SELECT sum(a.price * b.id) FROM t a JOIN t b ON a.name = b.name WHERE a.id % 2;";

static void *a_thread(void *result)
{
    assert(ask(work, result) == SQLITE_OK);
    return NULL;
}

int main(void)
{
    long long one, two;
    pthread_t other;
    assert(sqlite_on_allot() == SQLITE_OK);
    assert(sqlite3_initialize() == SQLITE_OK);
    assert(pthread_create(&other, NULL, a_thread, &two) == 0);
    a_thread(&one);
    pthread_join(other, NULL);
    assert(one == two && one > 0);
    printf("sqlite: %lld, at most %lld bytes\n", one, (long long)sqlite3_memory_highwater(0));
    sqlite3_shutdown();
    assert(left_over == 0);
    return 0;
}
