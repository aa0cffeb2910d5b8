/* page/journal.c - pages are written twice, so that a write which is cut short leaves one whole: in the journal, or at home.
 * (InnoDB's doublewrite buffer; Mohan's shadowing.)
 *
 *   journal:  | head: magic, page size, count, (number, sum) of each, sum of the head | page | page | ... |
 *
 *   a batch:  home is synced, where the last batch went there and has not been  ->  head and pages into the journal, sync  ->  pages home
 *             what did not come home is written there from the journal first
 *   init:     the head and every page of it are whole?  all of them home, sync, head void.  else: nothing of it had gone home
 *
 * Head and pages may come to the disk in any order: sums say whether all did. The last batch stays in the journal until the next is
 * about to be written over it; to write a batch home again does no harm, as whatever went home later went through the journal too.
 * So each page at home is whole, or is so after init. Costs writing everything twice and two syncs a batch; batches are as large as
 * the journal.
 */
#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

#include "page/pager.h"

struct journal_head {
    char magic[16];
    uint64_t size, count, sum; /* sum: of the head with this 0, up to its last entry */
    struct {
        uint64_t page, sum;
    } of[];
};

static const char magic[16] = "allot journal 1";

static size_t head_bytes(uint64_t count)
{
    return sizeof(struct journal_head) + count * sizeof((struct journal_head *)0)->of[0];
}

static uint64_t head_sum(struct journal_head *head)
{
    uint64_t kept = head->sum;
    head->sum = 0;
    uint64_t sum = page_sum(0, head, head_bytes(head->count));
    head->sum = kept;
    return sum;
}

/* -- either store -- */

static int put(const struct pager *p, const struct allot_store *store, uint64_t page, void *const *from, size_t count)
{
    return store_result(store->write(store->self, page, p->size, from, count));
}

static int get(const struct pager *p, uint64_t page, void *into)
{
    return store_result(p->journal.store.read(p->journal.store.self, page, p->size, &into, 1));
}

static int synced(const struct allot_store *store) { return store->sync ? store_result(store->sync(store->self)) : 0; }

/* -- a batch -- */

void journal_note(struct pager *p, const struct back_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p->journal.torn |= (uint64_t)(items[i].result != 0) << i;
    }
}

static bool is_of(const struct back_item *items, size_t n, uint64_t page)
{
    size_t i = 0;
    while (i < n && items[i].page != page) {
        i++;
    }
    return i < n;
}

/* Nobody reads the page from the store, nor forgets it, until it is let be: it is WRITING, or as one that comes. False: somebody has it,
 * and may. */
static bool hold(entry *at, uint64_t *word)
{
    do {
        *word = atomic_load(at);
        if (*word & RESIDENT && *word & (BUSY | WRITING)) {
            return false;
        }
    } while (
        !atomic_compare_exchange_strong(at, word, *word & RESIDENT ? *word | WRITING : RESIDENT | BUSY | NO_FRAME));
    return true;
}

static void let_be(struct pager *p, entry *at, uint64_t word)
{
    if (!(word & RESIDENT)) {
        entry_store(p, at, word);
        return;
    }
    atomic_fetch_and(at, ~WRITING);
    os_event_raise(event_of(p, at));
}

static int write_again(struct pager *p, size_t i)
{
    const struct journal_head *head = (const struct journal_head *)p->journal.head;
    char *page = p->journal.head + p->size;
    void *from[1] = {page};
    int wrong = get(p, 1 + i, page);
    wrong = wrong || page_sum(head->of[i].page, page, p->size) == head->of[i].sum ? wrong : -EIO;
    return wrong ? wrong : put(p, &p->store, head->of[i].page, from, 1);
}

int journal_mend(struct pager *p, const struct back_item *items, size_t n)
{
    struct journal *j = &p->journal;
    int wrong = 0;
    while (j->torn && !wrong) {
        size_t i = lowest_bit(j->torn);
        uint64_t page = ((const struct journal_head *)j->head)->of[i].page, word = 0;
        entry *at = table_find(&p->table, page);
        bool ours = is_of(items, n, page);
        if (!ours && !hold(at, &word)) {
            return atomic_load(&p->wrong); /* as when it failed; the next batch tries again */
        }
        moving_more(p);
        j->home_unsynced = true;
        wrong = write_again(p, i);
        if (!ours) {
            let_be(p, at, word);
        }
        moving_less(p);
        j->torn &= wrong ? j->torn : j->torn - 1;
    }
    return wrong;
}

int journal_put(struct pager *p, const struct back_item *items, size_t n, void *const *at)
{
    struct journal *j = &p->journal;
    int unmended = journal_mend(p, items, n);
    if (unmended) {
        return unmended;
    }
    if (j->home_unsynced) {
        int wrong = back_sync_store(p);
        if (wrong) {
            return wrong;
        }
    }
    struct journal_head *head = (struct journal_head *)j->head;
    *head = (struct journal_head){.size = p->size, .count = n};
    memcpy(head->magic, magic, sizeof magic);
    void *from[BATCH + 1] = {head};
    for (size_t i = 0; i < n; i++) {
        head->of[i].page = items[i].page;
        head->of[i].sum = page_sum(items[i].page, at[i], p->size);
        from[i + 1] = at[i];
    }
    head->sum = head_sum(head);
    int wrong = put(p, &j->store, 0, from, n + 1);
    wrong = wrong ? wrong : synced(&j->store);
    j->home_unsynced = j->home_unsynced || !wrong;
    return wrong;
}

int journal_void(struct pager *p)
{
    void *from[1] = {p->journal.head};
    memset(p->journal.head, 0, p->size);
    int wrong = put(p, &p->journal.store, 0, from, 1);
    return wrong ? wrong : synced(&p->journal.store);
}

/* -- what a crash left, of a journal that may have been longer -- */

static size_t most_of(const struct pager *p)
{
    return (p->size - sizeof(struct journal_head)) / sizeof((struct journal_head *)0)->of[0];
}

static bool is_head(struct pager *p, struct journal_head *head)
{
    return memcmp(head->magic, magic, sizeof magic) == 0 && head->size == p->size && head->count > 0 &&
           head->count <= most_of(p) && head->sum == head_sum(head);
}

/* Whether every page of the batch came to the disk: 1, 0, or -errno. */
static int is_whole(struct pager *p, const struct journal_head *head, char *page)
{
    for (uint64_t i = 0; i < head->count; i++) {
        int wrong = get(p, 1 + i, page);
        if (wrong) {
            return wrong;
        }
        if (page_sum(head->of[i].page, page, p->size) != head->of[i].sum) {
            return 0;
        }
    }
    return 1;
}

static int write_all_home(struct pager *p, const struct journal_head *head, char *page)
{
    void *from[1] = {page};
    int wrong = 0;
    for (uint64_t i = 0; i < head->count && !wrong; i++) {
        wrong = get(p, 1 + i, page);
        wrong = wrong ? wrong : put(p, &p->store, head->of[i].page, from, 1);
    }
    return wrong ? wrong : synced(&p->store);
}

static int recover(struct pager *p, char *page)
{
    struct journal_head *head = (struct journal_head *)p->journal.head;
    int wrong = get(p, 0, head);
    if (wrong || !is_head(p, head)) {
        return wrong;
    }
    int whole = is_whole(p, head, page);
    if (whole <= 0) {
        return whole;
    }
    wrong = write_all_home(p, head, page);
    if (!wrong) {
        tally(p, recovered, head->count);
        wrong = journal_void(p);
    }
    return wrong;
}

int journal_init(struct pager *p, const struct allot_store *store, size_t pages)
{
    p->journal = (struct journal){.store = *store, .most = size_min(size_min(pages - 1, most_of(p)), BATCH)};
    p->journal.head = allot_calloc(2, p->size);
    if (!p->journal.head) {
        return -ENOMEM;
    }
    p->has_journal = true;
    return recover(p, p->journal.head + p->size);
}

void journal_done(struct pager *p)
{
    if (p->has_journal) {
        allot_free(p->journal.head);
    }
}
