/* fault/exhaust_gc_copy.c - memory ends in the middle of a copy: from the n-th unit, for n = 0, 1, 2, ..., and for so many requests, the
 * floors below grant nothing while a collection runs. What finds no room stays where it is, and nothing is lost: the objects are all
 * there, can be changed, and are collected as ever when memory is back. In collections of the young, whole ones, and steps.
 */
#include "common/check.h"

#include <allot/gc.h>

#include "common/gc_nodes.h"
#include "common/requests.h"

struct unit;
enum { NODES = 12000, LEFT_MOST = 12, FOREVER = 1000000 };

REQUESTS(struct unit *, part_take_unit, (int use), (use), NULL)
REQUESTS(void *, os_map, (size_t length), (length), NULL)

static const struct allot_gc_type medium = {.name = "medium", .size = 8, .flags = ALLOT_GC_REFS};

static struct allot_gc heap;
static struct allot_gc_mutator me;
static void *root[4];
enum { CHAIN, SPARSE, MEDIUM, WEAK };

static void add(int i, long number, bool keep)
{
    struct node *n = allot_gc_get(&me, &node_type, 0), *first = root[i];
    CHECK(n);
    n->number = number;
    allot_gc_write(&me, n, &n->left, first);
    if (keep)
        root[i] = n;
}

static void fill(void)
{
    for (long i = 1; i <= NODES; i++) {
        add(CHAIN, i, true);
        add(SPARSE, i / 8 + 1, i % 8 == 0);
        if (i % 400 == 0) {
            void **o = allot_gc_get(&me, &medium, 1000 * sizeof *o);
            CHECK(o);
            allot_gc_write(&me, o, &o[1], root[MEDIUM]);
            allot_gc_write(&me, o, &o[1000], root[CHAIN]);
            root[MEDIUM] = o;
        }
    }
    root[WEAK] = allot_gc_weak(&me, root[SPARSE]);
    CHECK(root[WEAK]);
}

static void verify(void)
{
    CHECK(chain_counted(root[CHAIN]) == NODES && chain_counted(root[SPARSE]) == NODES / 8);
    long count = 0;
    for (void **o = root[MEDIUM]; o; o = o[1], count++)
        CHECK(((struct node *)o[1000])->number == NODES - count * 400);
    CHECK(count == NODES / 400);
    CHECK(allot_gc_weak_get(&me, root[WEAK]) == root[SPARSE]);
    CHECK(allot_gc_check(&me));
}

static void change(void)
{
    for (struct node *n = root[CHAIN]; n; n = n->left)
        allot_gc_write(&me, n, &n->right, n->number % 2 ? root[SPARSE] : NULL);
}

static void run(unsigned flags, long first, long count, int how)
{
    struct allot_gc_opts opts = {.flags = flags, .young = 1 << 16, .least = how == 2 ? 1 << 30 : 1 << 18};
    CHECK(allot_gc_init(&heap, ALLOT_GC_COPY, &opts) == 0 && allot_gc_attach(&heap, &me) == 0);
    CHECK(allot_gc_root(&heap, root, sizeof root / sizeof *root) == 0);
    memset(root, 0, sizeof root);
    fill();
    requests_grant(first);
    requests_to_refuse = count;
    if (how == 0) {
        for (long i = 0; i < 5000 && allot_gc_get(&me, &node_type, 0); i++)
            ;
    } else if (how == 1) {
        allot_gc_collect(&me);
        allot_gc_collect(&me);
    } else {
        for (int cycles = 0, steps = 0; cycles < 2; steps++)
            cycles += allot_gc_step(&me, steps % 3 ? 0 : 20000);
    }
    requests_grant(-1);
    verify();
    change();
    verify();
    allot_gc_collect(&me);
    verify();
    for (int cycles = 0; cycles < 2;)
        cycles += allot_gc_step(&me, 5000);
    verify();
    allot_gc_done(&heap);
}

int main(void)
{
    check_watch_aborts();
    for (int how = 0; how < 3; how++) {
        static const unsigned flags[] = {0, ALLOT_GC_PLAIN};
        for (size_t f = 0; f < (how == 1 ? 2 : 1); f++) {
            for (long first = 0; first <= LEFT_MOST; first++) {
                snprintf(check_context, sizeof check_context, "how %d, flags %u, unit %ld", how, flags[f], first);
                run(flags[f], first, 1, how);
                run(flags[f], first, 3, how);
                run(flags[f], first, FOREVER, how);
            }
        }
    }
    printf("%zu failures\n", requests_refused);
    return requests_refused < 50;
}
