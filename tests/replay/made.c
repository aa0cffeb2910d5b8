/* See made.h. */
#include "made.h"

#include <stdio.h>
#include <stdlib.h>

void made_op(struct made *m, enum op_kind kind, uint32_t block, uint64_t size, uint32_t site)
{
    if (m->count == m->room) {
        m->room = m->room ? 2 * m->room : 256;
        m->op = realloc(m->op, m->room * sizeof *m->op);
        assert_non_null(m->op);
    }
    m->op[m->count++] = (struct op){.block = block, .site = site, .size = size, .kind = kind};
}

void made_random(struct made *m, uint64_t seed, uint32_t count, uint32_t blocks, uint64_t size)
{
    struct random random = {seed * 2 + 1};
    unsigned char *live = calloc(blocks, 1);
    assert_non_null(live);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t block = (uint32_t)random_below(&random, blocks), site = 1 + (uint32_t)random_below(&random, 7);
        uint64_t most = random_below(&random, 8) ? size / 8 + 1 : size, bytes = 1 + random_below(&random, most);
        if (!live[block]) {
            made_op(m, OP_ALLOC, block, bytes, site);
            if (random_below(&random, 16) == 0) {
                m->op[m->count - 1].align = random_below(&random, 14);
            }
            live[block] = 1;
        } else if (random_below(&random, 4) == 0) {
            made_op(m, OP_RESIZE, block, bytes, site);
        } else {
            made_free(m, block);
            live[block] = 0;
        }
        m->op[m->count - 1].thread = random_below(&random, 3);
    }
    free(live);
}

void made_ops(const struct made *m, struct ops *out) { assert_int_equal(ops_make(m->op, NULL, m->count, out), 0); }

void made_replay(const struct made *m, const char *model, const struct replay_wanted *wanted, struct replay_result *out)
{
    struct ops ops;
    made_ops(m, &ops);
    if (replay_model(model, &ops, wanted, out) != 0) {
        fail_msg("%s: %s", model, out->failed);
    }
    ops_end(&ops);
}

void made_end(struct made *m)
{
    free(m->op);
    *m = (struct made){0};
}
