/* unit/trie.c - the tree of stacks: its numbers beside those of a model, while it grows, by many threads, without memory. */
#define _GNU_SOURCE
#include "common/unit.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "os/memory.h"
#include "probe/trie.h"

enum { MOST = 1 << 20 };

static _Atomic uint8_t told[MOST];
static _Atomic uint32_t tellings;

static void tell(uint32_t id, uint32_t parent, uint64_t key)
{
    CHECK(id > 0 && id < MOST && key != 0 && (parent == 0 || told[parent]));
    CHECK(told[id]++ == 0);
    tellings++;
}

static void begin(void)
{
    memset((void *)told, 0, sizeof told);
    tellings = 0;
}

static struct trie *new_trie(void)
{
    begin();
    static struct trie tries[64]; /* nothing of them is ever given back */
    static unsigned used;
    CHECK(used < 64);
    return &tries[used++];
}

/* A path's hash, found by going up. */
static uint64_t hash_of(struct trie *trie, uint32_t parent, uint64_t key)
{
    uint64_t of_parent = 0;
    if (parent) {
        const struct trie_node *node = trie_node(trie, parent);
        of_parent = hash_of(trie, node->parent, trie_key(node));
    }
    return trie_hash(of_parent, key);
}

static uint32_t find(struct trie *trie, uint32_t parent, uint64_t key)
{
    return trie_find(trie, hash_of(trie, parent, key), parent, key);
}

static uint32_t add(struct trie *trie, uint32_t parent, uint64_t key)
{
    uint32_t known = find(trie, parent, key);
    uint32_t id = trie_add(trie, hash_of(trie, parent, key), parent, key, MOST - 1, tell);
    CHECK(known == 0 || known == id);
    CHECK(id == 0 || (trie_node(trie, id)->parent == parent && trie_key(trie_node(trie, id)) == key && told[id]));
    return id;
}

/* A random tree, each node of it asked for again and again: its number stays, and no other has it. */
static void numbers_stay(void **state)
{
    (void)state;
    enum { NODES = 100000 };
    static uint32_t id[NODES], parent[NODES];
    static uint64_t key[NODES];
    struct trie *trie = new_trie();
    uint64_t random = 1;
    for (uint32_t i = 0; i < NODES; i++) {
        size_t of = i ? random_below(&random, i) : 0;
        parent[i] = i % 10 ? id[of] : 0;
        key[i] = 0x400000 + (i % 10 ? random_below(&random, 1 << 20) : i);
        uint32_t before = find(trie, parent[i], key[i]);
        id[i] = add(trie, parent[i], key[i]);
        assert_true(id[i] != 0 && (before == id[i] || (before == 0 && trie_nodes(trie) == id[i])));
        size_t again = random_below(&random, i + 1);
        assert_int_equal(add(trie, parent[again], key[again]), id[again]);
    }
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(find(trie, parent[i], key[i]), id[i]);
    }
    assert_int_equal(find(trie, 7, 12345), 0);
    assert_int_equal(tellings, trie_nodes(trie));
}

/* Keys that differ in one bit, anywhere. */
static void near_keys(void **state)
{
    (void)state;
    struct trie *trie = new_trie();
    uint32_t ids = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (uint32_t parent = 0; parent <= 32; parent++) {
            uint32_t id = add(trie, parent ? 1u << (parent - 1) & ids : 0, (uint64_t)1 << bit);
            assert_true(id > 0);
            ids = id > ids ? id : ids;
            assert_int_equal(ids, trie_nodes(trie));
        }
    }
}

/* Many threads add the same nodes in different orders. */
enum { THREADS = 4, CHAINS = 2000, LENGTH = 12 };
static struct trie *shared;
static uint32_t found[THREADS][CHAINS][LENGTH];

static void *add_chains(void *arg)
{
    uint32_t thread = (uint32_t)(uintptr_t)arg;
    uint64_t random = thread;
    for (uint32_t n = 0; n < 3 * CHAINS; n++) {
        uint32_t chain = n < 2 * CHAINS ? (uint32_t)random_below(&random, CHAINS) : n - 2 * CHAINS, parent = 0;
        for (uint32_t i = 0; i < LENGTH; i++) {
            uint64_t key = 0x1000 + (i < 4 ? (chain >> (6 - i)) : chain * 16 + i);
            parent = add(shared, parent, key);
            CHECK(parent != 0 && (found[thread][chain][i] == 0 || found[thread][chain][i] == parent));
            found[thread][chain][i] = parent;
        }
    }
    return NULL;
}

static void threads_agree(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 8; round++) {
        pthread_t thread[THREADS];
        shared = new_trie();
        memset(found, 0, sizeof found);
        for (uintptr_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&thread[i], NULL, add_chains, (void *)i), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(thread[i], NULL);
        }
        for (unsigned i = 1; i < THREADS; i++) {
            assert_memory_equal(found[i], found[0], sizeof found[0]);
        }
        assert_int_equal(tellings, trie_nodes(shared));
    }
}

/* All at the same nodes at once, each of which is new, and the table grows five times: again and again. */
enum { STEPS = 20000 };
static uint32_t stepped[THREADS][STEPS];
static pthread_barrier_t together;

static void *step_through(void *arg)
{
    uint32_t *own = stepped[(uintptr_t)arg];
    pthread_barrier_wait(&together);
    for (uint32_t i = 0; i < STEPS; i++) {
        own[i] = trie_add(shared, trie_hash(0, 1 + i), 0, 1 + i, MOST - 1, NULL);
    }
    return NULL;
}

static void threads_in_step(void **state)
{
    (void)state;
    pthread_barrier_init(&together, NULL, THREADS);
    for (unsigned round = 0; round < 10 * test_scale(); round++) {
        pthread_t thread[THREADS];
        static struct trie again;
        memset((void *)&again, 0, sizeof again);
        shared = &again;
        for (uintptr_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&thread[i], NULL, step_through, (void *)i), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(thread[i], NULL);
        }
        for (unsigned i = 1; i < THREADS; i++) {
            assert_memory_equal(stepped[i], stepped[0], sizeof stepped[0]);
        }
    }
}

/* The child of a fork has it whole, wherever other threads were. */
static void forked_while_others_add(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* a child of many threads */
#endif
    for (unsigned round = 0; round < 10; round++) {
        pthread_t thread[THREADS];
        shared = new_trie();
        memset(found, 0, sizeof found);
        for (uintptr_t i = 0; i < 2; i++) {
            assert_int_equal(pthread_create(&thread[i], NULL, add_chains, (void *)i), 0);
        }
        usleep(round * 700);
        pid_t child = fork();
        if (child == 0) {
            add_chains((void *)2);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        for (unsigned i = 0; i < 2; i++) {
            pthread_join(thread[i], NULL);
        }
    }
}

/* What there is stays, and is found; with memory again all goes on. */
static void out_of_memory(void **state)
{
    (void)state;
    for (long n = 0; n < 20; n++) {
        struct trie *trie = new_trie();
        static uint32_t id[20000];
        uint32_t added = 0;
        os_fail_after(n);
        for (uint32_t i = 0; i < 20000; i++) {
            id[i] = add(trie, 0, 1 + i);
            added += id[i] != 0;
            assert_true(id[i] == 0 || id[i] == i + 1);
        }
        os_fail_after(-1);
        assert_true(n == 0 ? added == 0 : n < 10 ? added < 20000 : n < 19 || added == 20000);
        for (uint32_t i = 0; i < 20000; i++) {
            uint32_t now = add(trie, 0, 1 + i);
            assert_true(now != 0 && (id[i] == 0 || id[i] == now));
        }
    }
}

static void no_more_than_most(void **state)
{
    (void)state;
    struct trie *trie = new_trie();
    for (uint64_t i = 1; i < 6000; i++) {
        uint32_t id = trie_add(trie, hash_of(trie, 0, i), 0, i, 5000, tell);
        assert_int_equal(id, i <= 5000 ? i : 0);
    }
    assert_int_equal(trie_add(trie, hash_of(trie, 0, 77), 0, 77, 5000, tell), 77);
    assert_int_equal(trie_add(trie, hash_of(trie, 5, 77), 5, 77, 5001, tell), 5001);
    assert_int_equal(trie_nodes(trie), 5001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stay),
        cmocka_unit_test(near_keys),
        cmocka_unit_test(threads_agree),
        cmocka_unit_test(threads_in_step),
        cmocka_unit_test(forked_while_others_add),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(no_more_than_most),
    };
    os_memory_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
