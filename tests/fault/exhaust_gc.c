/* fault/exhaust_gc.c - memory ends at every possible moment of a collected heap: for n = 0, 1, 2, ... the floors below grant n more
 * requests and none after, while a script runs that uses every function. Each failure is NULL with ENOMEM, or -ENOMEM, and leaves
 * all as it was; when memory is back the same call works. Collections want no memory, but to find out whose finishers are due, which
 * they put off. The last n is the one at which nothing fails. On every collector there is.
 */
#include "common/check.h"

#include <allot/gc.h>

#include "common/gc_nodes.h"
#include "common/requests.h"

struct unit;
struct part;

REQUESTS(struct unit *, part_take_unit, (int use), (use), NULL)
REQUESTS(void *, part_take_zero_pages, (const struct part *part, size_t bytes, size_t align), (part, bytes, align),
         NULL)
REQUESTS(void *, os_map, (size_t length), (length), NULL)
REQUESTS(void *, record_alloc, (size_t bytes), (bytes), NULL)

/* -- the script -- */

static struct allot_gc heap;
static struct allot_gc_mutator me;
static enum allot_gc_kind kind;
static unsigned flags;
static long finished;

static void finish(void *object, void *arg)
{
    (void)arg;
    CHECK(((struct node *)object)->number > 0);
    finished++;
}

static const struct allot_gc_type finishable = {
    .name = "finishable", .size = sizeof(struct node), .refs = NODE_REFS, .finish = finish};
static const struct allot_gc_type array = {.name = "array", .flags = ALLOT_GC_REFS};

static void *chains[2];

static void verify(void)
{
    for (int i = 0; i < 2; i++)
        CHECK(chain_counted(chains[i]) >= 0);
    if (me.state)
        allot_gc_check(&me);
}

#define TRY(p, call)  REQUESTS_TRY(p, call, verify())
#define TRY_INT(call) REQUESTS_TRY_INT(call, verify())

static void lengthen(int i, const struct allot_gc_type *type)
{
    struct node *n, *first;
    TRY(n, allot_gc_get(&me, type, 0));
    first = chains[i];
    n->number = first ? first->number + 1 : 1;
    allot_gc_write(&me, n, &n->left, first);
    allot_gc_unref(&me, first);
    chains[i] = n;
}

static void drop(int i)
{
    void *chain = chains[i];
    chains[i] = NULL;
    allot_gc_unref(&me, chain);
}

static void script(void)
{
    static void *slots[600];
    const struct allot_gc_opts opts = {.least = 1 << 16, .step_ns = flags & ALLOT_GC_PLAIN ? 0 : 1, .flags = flags};
    TRY_INT(allot_gc_init(&heap, kind, &opts));
    TRY_INT(allot_gc_attach(&heap, &me));
    TRY_INT(allot_gc_root(&heap, chains, 2));
    for (int i = 0; i < 600; i++)
        TRY_INT(allot_gc_root(&heap, &slots[i], 1));
    for (int i = 0; i < 5000; i++)
        lengthen(0, &node_type);
    for (int i = 0; i < 1100; i++) /* their tables grow */
        lengthen(1, i % 2 ? &finishable : &node_type);
    for (int i = 0; i < 600; i++)
        TRY(slots[i], allot_gc_weak(&me, chains[0]));
    for (int i = 0; i < 600 && kind != ALLOT_GC_COUNT; i++)
        TRY(slots[i], allot_gc_ephemeron(&me, slots[i], chains[1]));
    void *p;
    for (size_t size = 16; size < 200000; size = size * 3 / 2) {
        TRY(p, allot_gc_get(&me, &array, size / 8 * 8));
        CHECK(*(uint64_t *)p == 0);
        allot_gc_unref(&me, p);
    }
    for (int i = 0; i < 3; i++) /* what is written to in a cycle is remembered, however many they are */
        allot_gc_step(&me, 0);
    for (struct node *n = chains[0]; n && !(flags & ALLOT_GC_PLAIN); n = n->left)
        allot_gc_write(&me, n, &n->right, chains[1]);
    for (int i = 0; i < 1000; i++)
        lengthen(0, &node_type);
    drop(1);
    for (struct node *n = chains[0]; n && !(flags & ALLOT_GC_PLAIN); n = n->left)
        allot_gc_write(&me, n, &n->right, NULL);
    for (int i = 0; i < 600; i++) {
        p = slots[i];
        slots[i] = NULL;
        allot_gc_unref(&me, p);
    }
    allot_gc_collect(&me);
    verify();
    requests_grant(-1);
    for (long before = -1; before != finished;) {
        before = finished;
        allot_gc_collect(&me);
    }
    CHECK(finished == 550);
    struct allot_gc_stats stats;
    allot_gc_stats(&heap, &stats);
    CHECK(stats.use.count == 6000);
    for (int i = 0; i < 600; i++)
        allot_gc_unroot(&heap, &slots[i]);
    drop(0);
    verify();
    allot_gc_done(&heap);
}

int main(void)
{
    check_watch_aborts();
    static const unsigned modes[] = {0, ALLOT_GC_PLAIN};
    for (kind = ALLOT_GC_MARK; kind <= ALLOT_GC_COUNT; kind++) {
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            flags = modes[m];
            int why = allot_gc_init(&heap, kind, &(struct allot_gc_opts){.flags = flags});
            if (why)
                continue;
            allot_gc_done(&heap);
            long n = 0;
            do {
                snprintf(check_run, sizeof check_run, "kind %d, flags %u, n = %ld", (int)kind, flags, n);
                requests_failed = 0;
                finished = 0;
                requests_grant(n++);
                script();
                requests_grant(-1);
            } while (requests_failed > 0);
            printf("kind %d, flags %u: %ld requests\n", (int)kind, flags, n - 1);
            CHECK(n > 20);
        }
    }
    return 0;
}
