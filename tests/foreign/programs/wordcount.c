/* A C program for the compilers to compile: a chained hash table of words, sorted by count. Reads standard input. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
    struct word *next;
    size_t count;
    char text[];
};

static struct word **table;
static size_t buckets = 16, words;

static size_t hash(const char *s)
{
    size_t h = 5381;
    while (*s)
        h = h * 33 ^ (unsigned char)*s++;
    return h;
}

static void grow(void)
{
    struct word **larger = calloc(buckets * 2, sizeof *larger);
    for (size_t i = 0; i < buckets; i++)
        for (struct word *w = table[i], *next; w; w = next) {
            next = w->next;
            struct word **to = &larger[hash(w->text) % (buckets * 2)];
            w->next = *to;
            *to = w;
        }
    free(table);
    table = larger;
    buckets *= 2;
}

static void count(const char *text, size_t length)
{
    struct word **at = &table[hash(text) % buckets];
    for (struct word *w = *at; w; w = w->next)
        if (!strcmp(w->text, text)) {
            w->count++;
            return;
        }
    struct word *w = malloc(sizeof *w + length + 1);
    w->next = *at;
    w->count = 1;
    memcpy(w->text, text, length + 1);
    *at = w;
    if (++words > buckets)
        grow();
}

static int by_count(const void *a, const void *b)
{
    const struct word *x = *(struct word *const *)a, *y = *(struct word *const *)b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->text, y->text);
}

int main(void)
{
    table = calloc(buckets, sizeof *table);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0)
        for (char *p = strtok(line, " \n"); p; p = strtok(NULL, " \n"))
            count(p, strlen(p));
    free(line);

    struct word **sorted = malloc(words * sizeof *sorted);
    size_t n = 0;
    for (size_t i = 0; i < buckets; i++)
        for (struct word *w = table[i]; w; w = w->next)
            sorted[n++] = w;
    qsort(sorted, n, sizeof *sorted, by_count);
    for (size_t i = 0; i < n; i++) {
        if (i < 40)
            printf("%7zu %s\n", sorted[i]->count, sorted[i]->text);
        free(sorted[i]);
    }
    printf("%zu words, %zu buckets\n", n, buckets);
    free(sorted);
    free(table);
    return 0;
}
