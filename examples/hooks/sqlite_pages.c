/* sqlite_pages.c - SQLite's pages in allot's pager: sqlite3_pcache_methods2, by any policy of replacement instead of SQLite's LRU.
 *
 *   cache --> pager over no store: SQLite reads and writes the file itself, and what the cache lets go is clean
 *     slot[frame]: sqlite3_pcache_page, key      beside each frame, and SQLite's extra bytes
 *     apart: what has no frame: pages beyond the cache's size that SQLite must have (createFlag 2), and those of databases in memory
 *
 * A pin of SQLite's is a flag, not a count. A cache is used by one thread at a time: the pager is ALLOT_PAGER_ALONE. Its size
 * is that of PRAGMA cache_size when it was begun, 262144 pages at most; another one takes effect as soon as no page is pinned,
 * and begins empty.
 *
 *     cc sqlite_pages.c $(pkg-config --cflags --libs sqlite3 allot)
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include <allot/malloc.h>
#include <allot/pager.h>

enum { APARTS = 256, FRAMES_MOST = 1 << 18 };

struct slot {
    sqlite3_pcache_page page;
    struct slot *next;    /* of those apart, with the same remainder */
    unsigned key, number; /* SQLite's, and the pager's, which differ only where a page could not be renamed */
    bool pinned, apart, has_frame, live; /* live: in a frame, and not dropped; it may have been let go */
};

struct cache {
    size_t size, extra, wanted; /* bytes, bytes; pages */
    bool purgeable, begun;
    struct allot_pager pager;
    size_t frames, pinned, live; /* pinned, live: of those in frames */
    struct slot *slot;
    char *extras;
    struct slot *apart[APARTS];
    size_t aparts;
};

static enum allot_evict_policy sqlite_policy = ALLOT_GRADUAL;
static struct allot_pager_stats sqlite_pages; /* of caches that have ended */

/* -- a store that is none -- */

static int keep_as_is(void *self, uint64_t page, size_t size, void *const *into, size_t count)
{
    (void)self, (void)page, (void)size, (void)into, (void)count;
    return 0;
}

/* -- pages apart -- */

static struct slot **link_of(struct cache *c, unsigned key)
{
    struct slot **link = &c->apart[key % APARTS];
    while (*link && (*link)->key != key) {
        link = &(*link)->next;
    }
    return link;
}

static void put_apart(struct cache *c, struct slot *s, unsigned key)
{
    s->key = key;
    s->apart = true;
    s->next = c->apart[key % APARTS];
    c->apart[key % APARTS] = s;
    c->aparts++;
}

static void take_apart(struct cache *c, struct slot *s)
{
    *link_of(c, s->key) = s->next;
    c->aparts--;
}

static struct slot *make_apart(struct cache *c, unsigned key)
{
    size_t head = (sizeof(struct slot) + 15) / 16 * 16;
    struct slot *s = allot_calloc(1, head + c->size + c->extra);
    if (s) {
        s->page.pBuf = (char *)s + head;
        s->page.pExtra = (char *)s + head + c->size;
        s->pinned = true;
        put_apart(c, s, key);
    }
    return s;
}

static void forget(struct cache *c, struct slot *s)
{
    c->live -= s->live;
    s->live = false;
}

static void drop(struct cache *c, struct slot *s)
{
    if (s->apart) {
        take_apart(c, s);
    }
    if (!s->has_frame) {
        allot_free(s);
        return;
    }
    if (s->pinned) {
        allot_pager_unpin(&c->pager, s->page.pBuf, ALLOT_PAGER_READ);
        c->pinned--;
    }
    s->pinned = s->apart = false;
    forget(c, s);
    allot_pager_drop(&c->pager, s->number, 1);
}

/* -- the pager begins and ends with the cache's size -- */

static void end_pager(struct cache *c)
{
    if (c->begun) {
        struct allot_pager_stats stats;
        allot_pager_stats(&c->pager, &stats);
        sqlite_pages.hits += stats.hits;
        sqlite_pages.misses += stats.misses;
        sqlite_pages.evicted += stats.evicted;
        allot_pager_abandon(&c->pager);
        allot_free(c->slot);
        c->live = 0;
        c->begun = false;
    }
}

static bool begin_pager(struct cache *c)
{
    size_t frames = c->wanted;
    struct allot_store none = {.read = keep_as_is, .write = keep_as_is};
    struct allot_pager_opts opts = {
        .page = c->size, .frames = frames, .policy = sqlite_policy, .how = ALLOT_PAGER_ALONE, .readahead = 1};
    c->slot = allot_calloc(frames, sizeof *c->slot + c->extra);
    if (!c->slot || allot_pager_init(&c->pager, &none, &opts) != 0) {
        allot_free(c->slot);
        return false;
    }
    c->extras = (char *)(c->slot + frames);
    c->frames = frames;
    return c->begun = true;
}

static bool has_pager(struct cache *c)
{
    if (c->begun && c->pinned == 0 && c->frames != c->wanted) {
        end_pager(c);
    }
    return c->begun || (c->wanted > 0 && begin_pager(c));
}

/* -- what SQLite calls -- */

static int pages_init(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void pages_shutdown(void *arg) { (void)arg; }

static sqlite3_pcache *pages_create(int size, int extra, int purgeable)
{
    struct cache *c = allot_calloc(1, sizeof *c);
    if (c) {
        *c = (struct cache){
            .size = (size_t)size, .extra = ((size_t)extra + 15) / 16 * 16, .wanted = 100, .purgeable = purgeable};
    }
    return (sqlite3_pcache *)c;
}

static void pages_cachesize(sqlite3_pcache *cache, int pages)
{
    /* A file that is broken may ask for any number. */
    ((struct cache *)cache)->wanted = pages < 0 ? 0 : pages < FRAMES_MOST ? (size_t)pages : FRAMES_MOST;
}

static int pages_count(sqlite3_pcache *cache)
{
    struct cache *c = (struct cache *)cache;
    return (int)(c->live + c->aparts);
}

/* In a frame: one that is there, or a new one; NULL: none can be had. */
static struct slot *fetch_in_frame(struct cache *c, unsigned key, bool create)
{
    void *at = allot_pager_pin(&c->pager, key, ALLOT_PAGER_READ | ALLOT_PAGER_TRY);
    bool is_new = !at;
    if (is_new && create) {
        at = allot_pager_pin(&c->pager, key, ALLOT_PAGER_READ);
    }
    if (!at) {
        return NULL;
    }
    size_t frame = allot_pager_frame(&c->pager, at);
    struct slot *s = &c->slot[frame];
    if (is_new) { /* what was there has been let go */
        c->live += !s->live;
        *s = (struct slot){
            .page = {at, c->extras + frame * c->extra}, .key = key, .number = key, .has_frame = true, .live = true};
        memset(s->page.pExtra, 0, c->extra);
    }
    if (s->pinned || s->key != key) { /* its pin is there already; or it has that number only in the pager */
        allot_pager_unpin(&c->pager, at, ALLOT_PAGER_READ);
        s = s->key == key ? s : NULL;
    } else {
        s->pinned = true;
        c->pinned++;
    }
    return s;
}

static sqlite3_pcache_page *pages_fetch(sqlite3_pcache *cache, unsigned key, int create)
{
    struct cache *c = (struct cache *)cache;
    struct slot *s = c->aparts ? *link_of(c, key) : NULL;
    if (s) {
        s->pinned = true;
        return &s->page;
    }
    if (c->purgeable && has_pager(c)) {
        /* SQLite writes some of its dirty pages, and asks again, rather than fill the cache with them. */
        bool easy = c->pinned < c->frames * 9 / 10;
        s = fetch_in_frame(c, key, create == 2 || (create == 1 && easy));
    }
    if (!s && (create == 2 || (create && !c->purgeable))) {
        s = make_apart(c, key);
    }
    return s ? &s->page : NULL;
}

static void pages_unpin(sqlite3_pcache *cache, sqlite3_pcache_page *page, int discard)
{
    struct cache *c = (struct cache *)cache;
    struct slot *s = (struct slot *)page;
    if (discard || (s->apart && c->purgeable)) {
        drop(c, s);
        return;
    }
    if (s->has_frame) {
        allot_pager_unpin(&c->pager, s->page.pBuf, ALLOT_PAGER_READ);
        c->pinned--;
    }
    s->pinned = false;
}

static void drop_key(struct cache *c, unsigned key)
{
    struct slot *s = *link_of(c, key);
    if (s) {
        drop(c, s);
    }
    void *at = c->begun ? allot_pager_pin(&c->pager, key, ALLOT_PAGER_READ | ALLOT_PAGER_TRY) : NULL;
    if (at) { /* there is no other way to its slot */
        s = &c->slot[allot_pager_frame(&c->pager, at)];
        allot_pager_unpin(&c->pager, at, ALLOT_PAGER_READ);
        if (s->key == key) {
            drop(c, s);
        }
    }
}

static void pages_rekey(sqlite3_pcache *cache, sqlite3_pcache_page *page, unsigned from, unsigned to)
{
    struct cache *c = (struct cache *)cache;
    struct slot *s = (struct slot *)page;
    (void)from;
    drop_key(c, to);
    if (s->apart) {
        take_apart(c, s);
        put_apart(c, s, to);
    } else if (allot_pager_rename(&c->pager, s->page.pBuf, to) == 0) {
        s->key = s->number = to;
    } else { /* out of memory: it is found among those apart, until it is unpinned */
        put_apart(c, s, to);
    }
}

static void pages_truncate(sqlite3_pcache *cache, unsigned limit)
{
    struct cache *c = (struct cache *)cache;
    for (size_t i = 0; i < APARTS && c->aparts; i++) {
        for (struct slot *s = c->apart[i], *next; s; s = next) {
            next = s->next;
            if (s->key >= limit) {
                drop(c, s);
            }
        }
    }
    for (size_t i = 0; c->begun && c->live && i < c->frames; i++) {
        if (c->slot[i].live && c->slot[i].key >= limit) {
            drop(c, &c->slot[i]);
        }
    }
}

static void pages_destroy(sqlite3_pcache *cache)
{
    struct cache *c = (struct cache *)cache;
    pages_truncate(cache, 0);
    end_pager(c);
    allot_free(c);
}

/* What is not in use goes. */
static void pages_shrink(sqlite3_pcache *cache)
{
    struct cache *c = (struct cache *)cache;
    if (c->pinned == 0) {
        end_pager(c);
    }
}

/* Before anything else of SQLite is called. */
static int sqlite_pages_on_allot(void)
{
    static const sqlite3_pcache_methods2 methods = {
        .iVersion = 1,
        .xInit = pages_init,
        .xShutdown = pages_shutdown,
        .xCreate = pages_create,
        .xCachesize = pages_cachesize,
        .xPagecount = pages_count,
        .xFetch = pages_fetch,
        .xUnpin = pages_unpin,
        .xRekey = pages_rekey,
        .xTruncate = pages_truncate,
        .xDestroy = pages_destroy,
        .xShrink = pages_shrink,
    };
    return sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods);
}

/* -- what it is good for: a table ten times the cache, of which some rows are asked for again and again, and all now and then -- */

static const char fill_table[] = "PRAGMA cache_size = 300;"
                                 "PRAGMA journal_mode = OFF;"
                                 "CREATE TABLE t(id INTEGER PRIMARY KEY, text);"
                                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
                                 "INSERT INTO t SELECT i, hex(zeroblob(200)) || i FROM n;";
static const char ask_table[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
    "SELECT sum(length(t.text)) FROM n JOIN t ON t.id = 1 + (n.i * 7919 % 173) * (n.i * 7919 % 173) % 30000;"
    "SELECT sum(length(text)) FROM t;";

static int add_number(void *sum, int columns, char **values, char **names)
{
    (void)columns, (void)names;
    *(long long *)sum += values[0] ? atoll(values[0]) : 0;
    return 0;
}

int main(void)
{
    char path[] = "/tmp/sqlite-pages-XXXXXX";
    int fd = mkstemp(path);
    assert(fd >= 0 && sqlite_pages_on_allot() == SQLITE_OK);
    sqlite3 *db;
    long long sum = 0;
    assert(sqlite3_open(path, &db) == SQLITE_OK);
    assert(sqlite3_exec(db, fill_table, NULL, NULL, NULL) == SQLITE_OK);
    for (int i = 0; i < 5; i++) {
        assert(sqlite3_exec(db, ask_table, add_number, &sum, NULL) == SQLITE_OK);
    }
    assert(sqlite3_close(db) == SQLITE_OK);
    sqlite3_shutdown();
    unlink(path);
    close(fd);
    printf("sqlite: %lld, of %llu pages asked for %.1f %% were there\n", sum,
           (unsigned long long)(sqlite_pages.hits + sqlite_pages.misses),
           100.0 * (double)sqlite_pages.hits / (double)(sqlite_pages.hits + sqlite_pages.misses));
    return 0;
}
