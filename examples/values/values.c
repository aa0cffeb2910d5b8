/* values.c - a database in memory that gives memory back while it serves: keys and values of any length, in a movable heap.
 *
 *     table:  hash --> reference | reference | none | reference ...
 *     heap:   reference --> | length of the key | key | value |          wherever it lies just now
 *
 * After each command there is a step of compaction, of a tenth of a millisecond at most: whatever was set and dropped before, what stays
 * resident comes down to what there is, and nobody ever waits for it. The table holds references, so nothing in it changes when values
 * move; and a file of the heap's image has the whole database, as references are good in the next process too.
 *
 * Usage: values     reads commands, a line each:
 *     set KEY VALUE | get KEY | drop KEY | fill N BYTES | thin PERCENT | save FILE | load FILE | stats
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <allot/movable.h>

struct entry {
    uint32_t key_length;
    char text[]; /* key, value, both without an end */
};

static struct allot_movable heap;
static allot_ref *table; /* open addressing, a power of two, at most half full; what is dropped leaves DROPPED */
static size_t room, used, dropped;
static const allot_ref DROPPED = {1, 0};

static void out_of_memory(void)
{
    fprintf(stderr, "values: out of memory\n");
    exit(1);
}

static uint64_t hash(const char *key, size_t length)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)key[i]) * 1099511628211u;
    return h ^ h >> 29;
}

static bool is_entry(allot_ref ref) { return ref.gen != 0; }

/* Where a key is, or would be: the first place that is none or has it. */
static allot_ref *find(const char *key, size_t length)
{
    for (size_t i = hash(key, length) & (room - 1);; i = (i + 1) & (room - 1)) {
        if (is_entry(table[i])) {
            const struct entry *e = allot_movable_at(&heap, table[i]);
            if (e->key_length == length && memcmp(e->text, key, length) == 0)
                return &table[i];
        } else if (table[i].slot == 0) {
            return &table[i];
        }
    }
}

/* Another table, without what was dropped, twice as long where that is needed. */
static void rehash(void)
{
    allot_ref *old = table;
    size_t old_room = room;
    room = old ? (used * 4 > room ? room * 2 : room) : 1024;
    table = calloc(room, sizeof *table);
    if (!table)
        out_of_memory();
    dropped = 0;
    for (size_t i = 0; i < old_room; i++) {
        if (is_entry(old[i])) {
            const struct entry *e = allot_movable_at(&heap, old[i]);
            *find(e->text, e->key_length) = old[i];
        }
    }
    free(old);
}

static void set(const char *key, const char *value, size_t length)
{
    size_t key_length = strlen(key), size = sizeof(struct entry) + key_length + length;
    if ((used + dropped + 1) * 2 > room)
        rehash();
    allot_ref *place = find(key, key_length);
    if (!is_entry(*place)) {
        *place = allot_movable_get(&heap, size);
        used++;
    } else if (allot_movable_resize(&heap, *place, size) != 0) {
        out_of_memory();
    }
    if (!is_entry(*place))
        out_of_memory();
    struct entry *e = allot_movable_at(&heap, *place);
    e->key_length = (uint32_t)key_length;
    memcpy(e->text, key, key_length);
    memcpy(e->text + key_length, value, length);
}

static void drop(allot_ref *place)
{
    allot_movable_put(&heap, *place);
    *place = DROPPED;
    used--;
    dropped++;
}

static uint64_t chance(void)
{
    static uint64_t state = 1;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void fill(size_t count, size_t most)
{
    char key[32], *value = malloc(most + 1);
    if (!value)
        out_of_memory();
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key%zu", i);
        memset(value, 'a' + (int)(i % 26), most);
        set(key, value, chance() % (most + 1));
    }
    free(value);
}

static void thin(size_t percent)
{
    for (size_t i = 0; i < room; i++) {
        if (is_entry(table[i]) && chance() % 100 < percent)
            drop(&table[i]);
    }
}

/* -- the image of the heap is the database: the table is made of it again -- */

static int write_to(void *file, const void *bytes, size_t length)
{
    return fwrite(bytes, 1, length, file) == length ? 0 : -EIO;
}

static int read_from(void *file, void *bytes, size_t length)
{
    return fread(bytes, 1, length, file) == length ? 0 : -EIO;
}

static int enter(void *arg, allot_ref ref, void *at, size_t size)
{
    (void)arg;
    (void)size;
    if ((used + 1) * 2 > room)
        rehash();
    const struct entry *e = at;
    *find(e->text, e->key_length) = ref;
    used++;
    return 0;
}

static int save(const char *path)
{
    FILE *f = fopen(path, "wb");
    int failed = f ? allot_movable_save(&heap, write_to, f) : -errno;
    return f && fclose(f) != 0 ? -EIO : failed;
}

static int load(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -errno;
    allot_movable_done(&heap);
    if (allot_movable_init(&heap, 0, NULL) != 0)
        out_of_memory();
    free(table);
    table = NULL;
    room = used = dropped = 0;
    rehash();
    int failed = allot_movable_load(&heap, read_from, f);
    fclose(f);
    return failed ? failed : allot_movable_walk(&heap, enter, NULL);
}

static void stats(void)
{
    struct allot_movable_stats s;
    allot_movable_check(&heap);
    allot_movable_stats(&heap, &s);
    printf("%zu keys, %" PRIu64 " bytes, held %" PRIu64 "\n", used, s.use.used, s.use.held);
}

static void command(char *line)
{
    char *save_at, *word = strtok_r(line, " \n", &save_at), *a = strtok_r(NULL, " \n", &save_at);
    char *b = strtok_r(NULL, "\n", &save_at);
    if (!word) {
        return;
    } else if (strcmp(word, "set") == 0 && b) {
        set(a, b, strlen(b));
    } else if ((strcmp(word, "get") == 0 || strcmp(word, "drop") == 0) && a) {
        allot_ref *place = find(a, strlen(a));
        if (!is_entry(*place)) {
            printf("no %s\n", a);
        } else if (*word == 'd') {
            drop(place);
        } else {
            const struct entry *e = allot_movable_at(&heap, *place);
            size_t length = allot_movable_size(&heap, *place) - sizeof *e - e->key_length;
            printf("%.*s\n", (int)length, e->text + e->key_length);
        }
    } else if (strcmp(word, "fill") == 0 && b) {
        fill(strtoul(a, NULL, 10), strtoul(b, NULL, 10));
    } else if (strcmp(word, "thin") == 0 && a) {
        thin(strtoul(a, NULL, 10));
    } else if ((strcmp(word, "save") == 0 || strcmp(word, "load") == 0) && a) {
        int failed = *word == 's' ? save(a) : load(a);
        printf("%s %s: %s\n", word, a, failed ? strerror(-failed) : "done");
    } else if (strcmp(word, "stats") == 0) {
        stats();
    } else {
        printf("what?\n");
    }
}

int main(void)
{
    char line[4096];
    if (allot_movable_init(&heap, 0, NULL) != 0)
        out_of_memory();
    rehash();
    while (fgets(line, sizeof line, stdin)) {
        command(line);
        fflush(stdout);
        allot_movable_step_for(&heap, 100000);
    }
    allot_movable_done(&heap);
    free(table);
    return 0;
}
