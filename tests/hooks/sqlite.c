/* sqlite.c - examples/hooks/sqlite.c: a session of SQL prints the same with the hooks and without, in two threads too; and memory
 * that is out at each allocation is SQLITE_NOMEM, and nothing is left over.
 *
 *     sqlite SCRIPT
 */
#include "hooks.h"

#define main example_main
#include "../../examples/hooks/sqlite.c"
#undef main

static int print_row(void *arg, int columns, char **values, char **names)
{
    (void)names;
    for (int i = 0; i < columns; i++) {
        fprintf(arg, "%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
    }
    fputc('\n', arg);
    return 0;
}

/* Runs a script statement by statement, errors and all. */
static void session(const char *path, FILE *out)
{
    char sql[20000];
    FILE *file = fopen(path, "r");
    CHECK(file);
    size_t size = fread(sql, 1, sizeof sql, file);
    CHECK(size < sizeof sql);
    sql[size] = 0;
    fclose(file);
    sqlite3 *db;
    CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
    for (const char *at = sql; *at;) {
        sqlite3_stmt *one;
        const char *next;
        char *error = NULL;
        if (sqlite3_prepare_v2(db, at, -1, &one, &next) != SQLITE_OK) {
            fprintf(out, "error: %s\n", sqlite3_errmsg(db));
            break;
        }
        sqlite3_finalize(one);
        char *text = strndup(at, (size_t)(next - at));
        if (sqlite3_exec(db, text, print_row, out, &error) != SQLITE_OK) {
            fprintf(out, "error: %s\n", error);
        }
        sqlite3_free(error);
        free(text);
        at = next;
    }
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void plain(void *path)
{
    session(path, stdout);
    sqlite3_shutdown();
}

static void hooked(void *path)
{
    CHECK(sqlite_on_allot() == SQLITE_OK);
    session(path, stdout);
    CHECK(ration.taken > 1000);
    sqlite3_shutdown();
    CHECK(left_over == 0);
}

static void *in_a_thread(void *path)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    session(path, out);
    fclose(out);
    return text;
}

static const char small[] =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);"
    "CREATE INDEX by_name ON t(name);"
    "INSERT INTO t VALUES(1, 'one'), (2, 'two'), (3, hex(zeroblob(3000)));"
    "BEGIN; UPDATE t SET name = upper(name) || id; SAVEPOINT s; DELETE FROM t WHERE id = 2; ROLLBACK TO s;"
    "COMMIT;"
    "SELECT sum(length(a.name) * b.id) FROM t a JOIN t b ON a.name <= b.name GROUP BY a.id < 10;";

static void *asks(void *result)
{
    CHECK(ask(small, result) == SQLITE_OK);
    return NULL;
}

/* A thread's id may be that of one that has ended: the heap is not its own for that. */
static void one_after_another(void *arg)
{
    (void)arg;
    CHECK(sqlite_on_allot() == SQLITE_OK && sqlite3_initialize() == SQLITE_OK);
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        long long result;
        CHECK(pthread_create(&thread, NULL, asks, &result) == 0);
        pthread_join(thread, NULL);
        CHECK(result > 6000);
    }
    sqlite3_shutdown();
    CHECK(left_over == 0);
}

/* The heap passes from one thread to the other and back; blocks are freed by either. */
static void hooked_threads(void *path)
{
    CHECK(sqlite_on_allot() == SQLITE_OK && sqlite3_initialize() == SQLITE_OK);
    pthread_t other;
    void *theirs;
    CHECK(pthread_create(&other, NULL, in_a_thread, path) == 0);
    char *ours = in_a_thread(path);
    pthread_join(other, &theirs);
    CHECK(strcmp(ours, theirs) == 0);
    fputs(ours, stdout);
    sqlite3_shutdown();
    CHECK(left_over == 0);
}

static void runs_out(void *arg)
{
    (void)arg;
    CHECK(sqlite_on_allot() == SQLITE_OK);
    long long wanted, result;
    CHECK(ask(small, &wanted) == SQLITE_OK && wanted > 6000);
    sqlite3_shutdown();
    long failures = 0;
    EACH_ALLOCATION_FAILS(each)
    {
        int status = sqlite3_initialize();
        if (status == SQLITE_OK) {
            status = ask(small, &result);
        }
        CHECK(status == SQLITE_NOMEM || (status == SQLITE_OK && result == wanted));
        CHECK(status == SQLITE_OK || ration.failed);
        failures += status != SQLITE_OK;
        if (sqlite3_initialize() == SQLITE_OK) {
            left_over = 1;
            sqlite3_shutdown();
            CHECK(left_over == 0);
        }
    }
    printf("%ld", failures);

    /* The system has no more: what is kept for later is given back first. */
    CHECK(sqlite3_initialize() == SQLITE_OK);
    allot_trim();
    allot_fail_after(0);
    int status = ask("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
                     "SELECT length(group_concat(hex(zeroblob(50000)))) FROM n;",
                     &result);
    allot_fail_after(-1);
    CHECK(status == SQLITE_NOMEM);
    CHECK(ask(small, &result) == SQLITE_OK && result == wanted);
    sqlite3_shutdown();
    CHECK(left_over == 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    char *wanted = output_of(plain, argv[1]), *text;
    CHECK(strlen(wanted) > 1000);
    text = output_of(hooked, argv[1]);
    CHECK(strcmp(text, wanted) == 0);
    free(text);
    text = output_of(hooked_threads, argv[1]);
    CHECK(strcmp(text, wanted) == 0);
    free(text);
    free(wanted);
    free(output_of(one_after_another, NULL));
    text = output_of(runs_out, NULL);
    CHECK(atol(text) > 300);
    free(text);
}
