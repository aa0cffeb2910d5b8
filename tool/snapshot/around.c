/* around.c - see around.h. Each table is made of both snapshots, sorted by name, and merged. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/around.h"
#include "words.h"

struct row {
    const char *name;
    int32_t tid;        /* of a stack: whose; else 0 */
    uint64_t figure[2]; /* before and after */
};

uint64_t around_stacks(const struct snapshot *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->threads; i++) {
        bytes += s->thread[i].stack;
    }
    return bytes;
}

static int by_name(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int name = strcmp(x->name, y->name);
    return x->tid != y->tid ? (x->tid < y->tid ? -1 : 1) : name;
}

static uint64_t distance(const struct row *row)
{
    return row->figure[0] > row->figure[1] ? row->figure[0] - row->figure[1] : row->figure[1] - row->figure[0];
}

/* What grew most first, what became less last. */
static int by_change(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    bool grew = x->figure[1] > x->figure[0];
    if (grew != (y->figure[1] > y->figure[0])) {
        return grew ? -1 : 1;
    }
    uint64_t one = distance(x), other = distance(y);
    return one != other ? (one < other ? 1 : -1) : by_name(a, b);
}

/* Of the same name to one, and those that have not changed are left out. */
static size_t fold(struct row *row, size_t count)
{
    size_t kept = 0, changed = 0;
    qsort(row, count, sizeof *row, by_name);
    for (size_t i = 0; i < count; i++) {
        if (kept && by_name(&row[kept - 1], &row[i]) == 0) {
            row[kept - 1].figure[0] += row[i].figure[0];
            row[kept - 1].figure[1] += row[i].figure[1];
        } else {
            row[kept++] = row[i];
        }
    }
    for (size_t i = 0; i < kept; i++) {
        if (distance(&row[i]) > 0) {
            row[changed++] = row[i];
        }
    }
    qsort(row, changed, sizeof *row, by_change);
    return changed;
}

static void put_rows(const char *key, const char *title, const struct row *row, size_t count, size_t top, bool bytes,
                     struct json *j)
{
    size_t most = top && top < count ? top : count;
    if (j) {
        json_array(j, key);
    } else if (count) {
        printf("%s:\n", title);
    }
    for (size_t i = 0; i < most; i++) {
        if (j) {
            json_object(j, NULL);
            json_text(j, "name", row[i].name);
            if (row[i].tid) {
                json_signed(j, "thread", row[i].tid);
            }
            json_array(j, "change");
            json_number(j, NULL, row[i].figure[0]);
            json_number(j, NULL, row[i].figure[1]);
            json_end(j);
            json_end(j);
            continue;
        }
        if (bytes) {
            printf("  %13s  ", words_change(row[i].figure[0], row[i].figure[1]).text);
        } else {
            printf("  %+13" PRId64 "  ", (int64_t)(row[i].figure[1] - row[i].figure[0]));
        }
        words_put(stdout, *row[i].name ? row[i].name : "(no name)", 90);
        if (row[i].tid) {
            printf(", thread %" PRId32, row[i].tid);
        }
        putchar('\n');
    }
    if (j) {
        json_end(j);
    } else if (most < count) {
        printf("  and %zu more\n", count - most);
    }
}

/* Sockets and pipes have a number each: what they are is before it. */
static char *kind_of_descriptor(const char *name)
{
    static const char *const numbered[] = {"socket:", "pipe:"};
    for (size_t i = 0; i < sizeof numbered / sizeof *numbered; i++) {
        if (strncmp(name, numbered[i], strlen(numbered[i])) == 0) {
            return strndup(name, strlen(numbered[i]) - 1);
        }
    }
    return strdup(name);
}

static bool put_descriptors(const struct snapshot *const of[2], struct row *row, size_t top, struct json *j)
{
    size_t count = 0;
    char **text = calloc(of[0]->descriptors + of[1]->descriptors + 1, sizeof *text);
    bool done = text;
    for (unsigned s = 0; s < 2; s++) {
        for (size_t i = 0; done && i < of[s]->descriptors; i++) {
            text[count] = kind_of_descriptor(of[s]->names + of[s]->descriptor[i].name);
            done = text[count];
            row[count] = (struct row){.name = text[count], .figure = {s == 0, s == 1}};
            count += done;
        }
    }
    if (done) {
        put_rows("descriptors_by_name", "descriptors", row, fold(row, count), top, false, j);
    }
    for (size_t i = 0; i < count; i++) {
        free(text[i]);
    }
    free(text);
    return done;
}

static void put_threads(const struct snapshot *const of[2], struct row *row, size_t top, struct json *j)
{
    size_t count = 0;
    for (unsigned s = 0; s < 2; s++) {
        for (size_t i = 0; i < of[s]->threads; i++) {
            row[count++] = (struct row){.name = of[s]->thread[i].name, .figure = {s == 0, s == 1}};
        }
    }
    put_rows("threads_by_name", "threads", row, fold(row, count), top, false, j);
}

/* Of threads that are in both. */
static void put_stacks(const struct snapshot *const of[2], struct row *row, size_t top, struct json *j)
{
    size_t count = 0, both = 0;
    for (unsigned s = 0; s < 2; s++) {
        for (size_t i = 0; i < of[s]->threads; i++) {
            const struct snap_thread *t = &of[s]->thread[i];
            row[count++] = (struct row){t->name, t->tid, {s ? 0 : t->stack, s ? t->stack : 0}};
        }
    }
    count = fold(row, count);
    for (size_t i = 0; i < count; i++) {
        if (row[i].figure[0] && row[i].figure[1]) {
            row[both++] = row[i];
        }
    }
    put_rows("stacks", "stacks in use", row, both, top, true, j);
}

bool around_put(const struct snapshot *before, const struct snapshot *after, size_t top, struct json *j)
{
    const struct snapshot *const of[2] = {before, after};
    size_t threads = before->threads + after->threads, descriptors = before->descriptors + after->descriptors;
    struct row *row = calloc((threads > descriptors ? threads : descriptors) + 1, sizeof *row);
    if (!row) {
        return false;
    }
    put_threads(of, row, top, j);
    put_stacks(of, row, top, j);
    bool done = put_descriptors(of, row, top, j);
    free(row);
    return done;
}
