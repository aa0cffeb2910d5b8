/* What the collector takes for live at a key frame is what is: though threads' events come one thread after another, frames end
 * anywhere, and blocks are freed and allocated anew by other threads in between; and it knows in bounded memory. */
#include "common/unit.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "common/random.h"
#include "record/collector.h"

enum { THREADS = 3 };

struct stage {
    struct collector collector;
    struct process process;
    struct thread thread[THREADS];
};

static struct stage *begin(void)
{
    struct stage *s = calloc(1, sizeof *s);
    struct collector *c = &s->collector;
    int file = memfd_create("trace", MFD_CLOEXEC);

    c->nodes = nodes_new();
    c->processes = &s->process;
    s->process.number = 1;
    s->process.map = node_map_new(NULL, 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        s->thread[i] = (struct thread){.process = &s->process, .number = i + 1, .next = s->process.threads};
        s->process.threads = &s->thread[i];
    }
    assert_true(writer_open(&c->writer, file, &(struct file_head){0}, ""));
    return s;
}

static void end(struct stage *s)
{
    for (unsigned i = 0; i < THREADS; i++) {
        packer_done(&s->thread[i].packer);
        free(s->thread[i].birth);
    }
    blocks_done(&s->process.blocks);
    node_map_drop(s->process.map);
    nodes_free(s->collector.nodes);
    writer_close(&s->collector.writer, 0);
    free(s);
}

static void event(struct stage *s, unsigned thread, enum file_op op, uint64_t address, uint64_t size, uint32_t stack,
                  uint64_t time)
{
    struct file_event e = {.op = op, .address = address, .size = size, .stack = stack, .time = time};
    add_event(&s->collector, &s->thread[thread], &e);
}

static void flush(struct stage *s, uint64_t all_until)
{
    s->collector.round = all_until;
    flush_all(&s->collector);
}

static const struct block_entry *entry_of(const struct stage *s, uint64_t address)
{
    const struct blocks *b = &s->process.blocks;
    for (size_t i = blocks_home(b, address); b->entry[i].unit; i = (i + 1) & b->mask) {
        if ((uint64_t)b->entry[i].unit << 3 == address) {
            return &b->entry[i];
        }
    }
    return NULL;
}

/* -- a history, told thread by thread -- */

enum { PLACES = 200, ROUND = 400, ROUNDS = 300 };

struct told {
    enum file_op op;
    unsigned thread;
    uint64_t address, size;
    uint32_t stack;
    uint64_t time;
};

/* One step of what happens: a place changes hands, or is moved. Events, 1 or 2. */
static unsigned happens(struct random *random, struct told live[PLACES], uint64_t *time, struct told *out)
{
    uint64_t dice = random_next(random);
    unsigned place = (unsigned)(dice % PLACES), thread = (unsigned)(dice >> 32) % THREADS;
    struct told *at = &live[place];
    uint64_t address = 0x10000 + place * 48u;
    struct told made = {.op = FILE_MALLOC, .thread = thread, .address = address, .stack = dice >> 40 & 0xffffff};

    made.size = dice >> 60 == 0 ? (uint64_t)1 << 45 | place : dice >> 50 & 0xff;
    *time += dice >> 48 & 3 ? 20 : 1;
    if (!at->size) {
        made.time = *time;
        made.size += 1;
        *out = *at = made;
        return 1;
    }
    if ((dice >> 56) % 4 == 0) { /* a realloc, which may fail */
        bool fails = dice >> 58 & 1;
        out[0] = (struct told){.op = FILE_REALLOC_FROM, .thread = thread, .address = address, .time = *time};
        made.op = FILE_REALLOC_TO;
        made.size = fails ? 0 : made.size + 1;
        made.time = *time;
        out[1] = made;
        if (!fails) {
            *at = made;
        }
        return 2;
    }
    *out = (struct told){.op = FILE_FREE, .thread = thread, .address = address, .time = *time};
    at->size = 0;
    return 1;
}

static void as_it_happened(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct stage *s = begin();
        struct random random = {seed};
        struct told live[PLACES] = {0};
        static struct told round[2 * ROUND];
        uint64_t time = 1;

        for (unsigned r = 0; r < ROUNDS; r++) {
            unsigned count = 0;
            while (count < ROUND) {
                count += happens(&random, live, &time, &round[count]);
            }
            unsigned first = (unsigned)random_next(&random);
            for (unsigned n = 0; n < THREADS; n++) {
                for (unsigned i = 0; i < count; i++) {
                    const struct told *t = &round[i];
                    if (t->thread == (first + n) % THREADS) {
                        event(s, t->thread, t->op, t->address, t->size, t->stack, t->time);
                    }
                }
            }
            time++;
            if (random_next(&random) % 4 == 0) {
                flush(s, time);
            }
        }
        flush(s, time);
        for (unsigned place = 0; place < PLACES; place++) {
            const struct block_entry *e = entry_of(s, 0x10000 + place * 48u);
            assert_int_equal(e && block_is_live(e), live[place].size != 0);
            if (live[place].size) {
                assert_int_equal(block_size(e), live[place].size);
                assert_int_equal(block_stack(e), live[place].stack);
                assert_int_equal(block_weight(&s->process.blocks, e), 1);
            }
        }
        end(s);
    }
}

/* -- more than there is room for -- */

static uint64_t address_of(unsigned i) { return i % 1000 == 0 ? 0x200000000 + i * 4096ul : 0x10000000 + i * 64ul; }

static void in_bounded_memory(void **state)
{
    (void)state;
    enum { MANY = 3000000 };
    struct stage *s = begin();
    const struct blocks *b = &s->process.blocks;
    uint64_t time = 1, counted = 0, large = 0;

    for (unsigned i = 0; i < MANY; i++) {
        event(s, i % 7 == 0, FILE_MALLOC, address_of(i), 100, 1, time++);
        if (i % 5000 == 0) {
            flush(s, time);
        }
    }
    for (unsigned i = 0; i < MANY; i += 2) {
        event(s, i % 5 == 0, FILE_FREE, address_of(i), 0, 0, time++);
    }
    flush(s, time);
    assert_true(b->mask < BLOCKS_MOST);
    assert_true(b->halvings > 0);
    for (size_t i = 0; i <= b->mask; i++) {
        if (b->entry[i].unit && block_is_live(&b->entry[i])) {
            counted += block_weight(b, &b->entry[i]);
            large += (uint64_t)b->entry[i].unit << 3 >= 0x200000000;
        }
    }
    assert_in_range(counted, MANY / 2 * 98 / 100, MANY / 2 * 102 / 100);
    assert_int_equal(large, 0); /* each thousandth is even: all are freed */
    for (unsigned i = 1; i < MANY; i += 2) {
        const struct block_entry *e = entry_of(s, address_of(i));
        assert_int_equal(e && block_is_live(e), blocks_keep(b, address_of(i)));
    }
    end(s);
}

/* Nothing but what lies at the beginnings of pages, of which more are kept. */
static void large_ones_only(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    struct stage *s = begin();
    uint64_t counted = 0;

    for (unsigned i = 0; i < MANY; i++) {
        event(s, 0, FILE_MALLOC, 0x10000000 + i * 4096ul, 4096, 1, i + 1);
    }
    flush(s, MANY + 1);
    const struct blocks *b = &s->process.blocks;
    assert_true(b->mask < BLOCKS_MOST);
    for (size_t i = 0; i <= b->mask; i++) {
        counted += b->entry[i].unit && block_is_live(&b->entry[i]) ? block_weight(b, &b->entry[i]) : 0;
    }
    assert_in_range(counted, MANY * 97 / 100, MANY * 103 / 100);
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_happened),
        cmocka_unit_test(in_bounded_memory),
        cmocka_unit_test(large_ones_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
