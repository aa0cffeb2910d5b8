/* sqlite_pages.c - examples/hooks/sqlite_pages.c: SQL prints the same with SQLite's own cache and with the pager, by each policy,
 * on a file with a cache of ten pages and in memory; pages that move and that are cut off too; memory that is out at each
 * allocation is SQLITE_NOMEM, and the file as it was.
 *
 *     sqlite_pages SCRIPT
 */
#include "hooks.h"

#include <sys/resource.h>

#include <allot/pager.h>

#define main example_main
#include "../../examples/hooks/sqlite_pages.c"
#undef main

static char folder[] = "/tmp/sqlite-pages-XXXXXX", path[sizeof folder + 20];

static int print_row(void *arg, int columns, char **values, char **names)
{
    (void)names;
    for (int i = 0; i < columns; i++) {
        fprintf(arg, "%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
    }
    fputc('\n', arg);
    return 0;
}

static int run(const char *file, const char *sql, FILE *out)
{
    sqlite3 *db;
    char *error = NULL;
    int status = sqlite3_open(file, &db);
    if (status == SQLITE_OK) {
        status = sqlite3_exec(db, sql, print_row, out, &error);
        if (status != SQLITE_OK && status != SQLITE_NOMEM) {
            fprintf(out, "error: %s\n", error);
        }
        sqlite3_free(error);
    }
    CHECK(sqlite3_close(db) == SQLITE_OK);
    return status;
}

/* Pages that are written, spilled, rolled back, moved by a vacuum step, cut off; two databases at once. */
static const char much[] =
    "PRAGMA synchronous = OFF; PRAGMA page_size = 1024; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA cache_size = 10; "
    "PRAGMA journal_mode = DELETE;"
    "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, blob); CREATE INDEX by_name ON t(name);"
    "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
    "INSERT INTO t SELECT i, 'item ' || (i * 7919 % 2003), zeroblob(i % 700) FROM n; COMMIT;"
    "BEGIN; DELETE FROM t WHERE id % 3; SAVEPOINT s; UPDATE t SET name = upper(name) || hex(zeroblob(40)); ROLLBACK TO "
    "s; COMMIT;"
    "PRAGMA incremental_vacuum(60); SELECT count(*), sum(length(blob)) FROM t; PRAGMA page_count;"
    "BEGIN; INSERT INTO t SELECT id + 5000, name || id, randomblob(2000) FROM t; SELECT count(*) FROM t; ROLLBACK;"
    "ATTACH ':memory:' AS m; CREATE TABLE m.copy AS SELECT * FROM t; SELECT sum(a.id * b.id) FROM t a JOIN m.copy b ON "
    "a.name = b.name;"
    "PRAGMA cache_size = 80000000; SELECT count(*) FROM t;"
    "PRAGMA cache_size = 200; UPDATE t SET name = id || name; VACUUM; PRAGMA shrink_memory;"
    "SELECT sum(length(name)), max(name) FROM t; PRAGMA integrity_check;";

static const char moderate[] =
    "PRAGMA synchronous = OFF; PRAGMA page_size = 1024; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA cache_size = 10;"
    "CREATE TABLE t(id INTEGER PRIMARY KEY, blob);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO t SELECT i, "
    "zeroblob(900) FROM n;"
    "DELETE FROM t WHERE id % 3; PRAGMA incremental_vacuum(10); SELECT count(*), sum(length(blob)) FROM t;";

static void sessions(const char *script)
{
    char sql[20000];
    FILE *file = fopen(script, "r");
    CHECK(file);
    size_t size = fread(sql, 1, sizeof sql - 1, file);
    sql[size] = 0;
    fclose(file);
    unlink(path);
    run(path, sql, stdout);
    unlink(path);
    CHECK(run(path, much, stdout) == SQLITE_OK);
    CHECK(run(path, "SELECT count(*) FROM t; PRAGMA integrity_check", stdout) == SQLITE_OK);
    CHECK(run(":memory:", much, stdout) == SQLITE_OK);
    sqlite3_shutdown();
}

static void plain(void *script) { sessions(script); }

static void hooked(void *script)
{
    CHECK(sqlite_pages_on_allot() == SQLITE_OK);
    sessions(script);
    CHECK(sqlite_pages.evicted > 500 && sqlite_pages.hits > 1000);
    struct rusage used;
    CHECK(getrusage(RUSAGE_SELF, &used) == 0 && used.ru_maxrss < 1 << 20); /* KiB, whatever cache_size was asked for */
}

static void runs_out(void *arg)
{
    (void)arg;
    CHECK(sqlite_pages_on_allot() == SQLITE_OK);
    long failures = 0;
    EACH_ALLOCATION_FAILS(each)
    {
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        unlink(path);
        int status = run(path, moderate, out);
        fclose(out);
        CHECK(status == SQLITE_NOMEM || (status == SQLITE_OK && strstr(text, "20|18000\n")));
        CHECK(status == SQLITE_OK || ration.failed);
        failures += ration.failed > 0;
        free(text);
        ration_lift();
        out = open_memstream(&text, &size);
        CHECK(run(path, "PRAGMA integrity_check", out) == SQLITE_OK);
        fclose(out);
        CHECK(strcmp(text, "ok\n") == 0);
        free(text);
    }
    printf("%ld", failures);
    sqlite3_shutdown();
}

int main(int argc, char **argv)
{
    CHECK(argc == 2 && mkdtemp(folder));
    snprintf(path, sizeof path, "%s/db", folder);
    char *wanted = output_of(plain, argv[1]), *text;
    CHECK(strlen(wanted) > 1000 && strstr(wanted, "\nok\n"));
    for (unsigned policy = 0; policy < ALLOT_EVICT_POLICIES; policy++) {
        sqlite_policy = (enum allot_evict_policy)policy;
        text = output_of(hooked, argv[1]);
        CHECK(strcmp(text, wanted) == 0);
        free(text);
    }
    free(wanted);
    text = output_of(runs_out, NULL);
    CHECK(atol(text) > 10);
    free(text);
    unlink(path);
    rmdir(folder);
}
