/* cache.c - a program written for Boehm's collector: it knows of no heap, no type, no root, and frees nothing.
 *
 * Counts what the words of a text have in common: each word's letters in order are a key, and words with one key are listed together. The
 * table grows by making a new one; texts come and go; a hidden pointer to the last text is cleared when that is gone.
 *
 *     cc cache.c boehm.c -lallot, or cc cache.c -lgc, with libgc's header
 *
 * Prints what it found; 0 if all of it is right.
 */
#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gc.h"

struct word {
    struct word *next;
    char *text;
};

struct group {
    struct group *next;
    char *key;
    struct word *words;
    size_t count;
};

struct table {
    size_t size, used;
    struct group **bucket;
};

static struct table *table; /* held by the program's data alone */
static int texts_gone;

static unsigned hash_of(const char *key)
{
    unsigned hash = 5381;
    while (*key) {
        hash = hash * 33 + (unsigned char)*key++;
    }
    return hash;
}

static struct table *make_table(size_t size)
{
    struct table *made = GC_NEW(struct table);
    made->size = size;
    made->bucket = GC_MALLOC(size * sizeof *made->bucket);
    return made;
}

static void grow(void)
{
    struct table *larger = make_table(table->size * 2);
    for (size_t i = 0; i < table->size; i++) {
        for (struct group *at = table->bucket[i], *next; at; at = next) {
            struct group **to = &larger->bucket[hash_of(at->key) % larger->size];
            next = at->next;
            at->next = *to;
            *to = at;
        }
    }
    larger->used = table->used;
    table = larger;
}

static int letters(const void *a, const void *b) { return *(const char *)a - *(const char *)b; }

static void add(const char *text)
{
    char *key = GC_STRDUP(text);
    qsort(key, strlen(key), 1, letters);
    struct group **to = &table->bucket[hash_of(key) % table->size], *group = *to;
    while (group && strcmp(group->key, key) != 0) {
        group = group->next;
    }
    if (!group) {
        group = GC_NEW(struct group);
        group->key = key;
        group->next = *to;
        *to = group;
        if (++table->used > table->size) {
            grow();
        }
    }
    struct word *word = GC_NEW(struct word);
    word->text = GC_STRDUP(text);
    word->next = group->words;
    group->words = word;
    group->count++;
}

static void gone(void *text, void *kept)
{
    assert(strlen(text) > 10 && strcmp(kept, "kept") == 0);
    texts_gone++;
}

/* A text of so many words, of five letters of which the first two change places. */
static char *make_text(int words)
{
    size_t room = 16, length = 0;
    char *text = GC_MALLOC_ATOMIC(room);
    for (int i = 0; i < words; i++) {
        char word[8] = {(char)('a' + i % 26), (char)('a' + i / 26 % 26), 'x', (char)('a' + i / 1352 % 26), 'y'};
        if (i / 676 % 2) {
            word[1] = word[0], word[0] = (char)('a' + i / 26 % 26);
        }
        if (length + 7 > room) {
            text = GC_REALLOC(text, room *= 2);
        }
        length += (size_t)sprintf(text + length, "%s ", word);
    }
    GC_REGISTER_FINALIZER(text, gone, GC_STRDUP("kept"), NULL, NULL);
    return text;
}

static void __attribute__((noinline)) read_text(int words, GC_word *hidden)
{
    char *text = make_text(words), *at = GC_STRDUP(text), *rest;
    *hidden = GC_HIDE_POINTER(text);
    assert(GC_general_register_disappearing_link((void **)hidden, text) < 2); /* 1: it was another text's before */
    for (char *word = strtok_r(at, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        add(word);
    }
    assert(strcmp(GC_REVEAL_POINTER(*hidden), text) == 0);
}

static void __attribute__((noinline)) clear_stack(void)
{
    volatile char room[16384];
    for (size_t i = 0; i < sizeof room; i++) {
        room[i] = 0;
    }
}

/* A thread of its own, whose stack alone holds a list. */
static void *listing(void *count)
{
    struct word *list = NULL;
    for (size_t i = 0; i < (size_t)count; i++) {
        struct word *word = GC_NEW(struct word);
        word->text = GC_STRDUP("beside");
        word->next = list;
        list = word;
    }
    size_t found = 0;
    for (struct word *at = list; at; at = at->next) {
        found += strcmp(at->text, "beside") == 0;
    }
    return (void *)found;
}

static void *wait_for(void *thread)
{
    void *result;
    pthread_join(*(pthread_t *)thread, &result);
    return result;
}

int main(void)
{
    enum { TEXTS = 40, WORDS = 2704, BESIDE = 100000 };
    GC_INIT();
    table = make_table(16);
    struct word **held = GC_MALLOC_UNCOLLECTABLE(sizeof *held), ***out = malloc(sizeof *out);
    *out = held; /* malloc's memory holds nothing */
    *held = GC_NEW(struct word);
    (*held)->text = GC_STRDUP("uncollectable");
    held = NULL;

    pthread_t thread;
    assert(pthread_create(&thread, NULL, listing, (void *)BESIDE) == 0);
    GC_word hidden = 0;
    for (int i = 0; i < TEXTS; i++) {
        read_text(WORDS, &hidden);
    }
    assert((size_t)GC_do_blocking(wait_for, &thread) == BESIDE);

    size_t groups = 0, words = 0, largest = 0;
    for (size_t i = 0; i < table->size; i++) {
        for (struct group *at = table->bucket[i]; at; at = at->next) {
            size_t listed = 0;
            for (struct word *word = at->words; word; word = word->next) {
                listed += strlen(word->text) == 5;
            }
            assert(listed == at->count);
            groups++;
            words += listed;
            largest = listed > largest ? listed : largest;
        }
    }
    clear_stack();
    GC_gcollect();
    GC_gcollect();
    assert(strcmp((**out)->text, "uncollectable") == 0);
    GC_FREE(*out);
    free(out);
    printf("%zu words in %zu groups, the largest of %zu\n", words, groups, largest);
    printf("%s texts gone, the last one %s\n", texts_gone >= TEXTS - 2 ? "all but two at most of the" : "too few",
           hidden ? "is not" : "is");
    fprintf(stderr, "%d texts gone, %zu KiB held, %zu KiB allocated\n", texts_gone, GC_get_heap_size() / 1024,
            GC_get_total_bytes() / 1024);
    return words == (size_t)TEXTS * WORDS && texts_gone >= TEXTS - 2 ? 0 : 1;
}
