/* base/random.h - numbers that nobody can guess: the keystream of ChaCha with 8 rounds. (Bernstein, "ChaCha, a variant of
 * Salsa20", 2008; 8 rounds: Aumasson, "Too much crypto", 2019.) Costs about three cycles a byte. One thread's. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>
#include <string.h>

/*   input:  constants | key: 8 words, from the system | block counter | 0
 *   block:  what was made of it last; bytes [used, 64) have not been given out yet */
struct random {
    uint32_t input[16];
    unsigned char block[64];
    uint32_t used;
};

static inline void random_begin(struct random *r, const unsigned char key[32])
{
    static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memset(r, 0, sizeof *r);
    memcpy(r->input, constants, sizeof constants);
    memcpy(r->input + 4, key, 32);
    r->used = sizeof r->block;
}

#define RANDOM_TURN(word, by) ((word) << (by) | (word) >> (32 - (by)))
#define RANDOM_QUARTER(a, b, c, d)                                                                   \
    (a += b, d ^= a, d = RANDOM_TURN(d, 16), c += d, b ^= c, b = RANDOM_TURN(b, 12), a += b, d ^= a, \
     d = RANDOM_TURN(d, 8), c += d, b ^= c, b = RANDOM_TURN(b, 7))

static inline void random_refill(struct random *r)
{
    enum { ROUNDS = 8 };
    uint32_t x[16];
    memcpy(x, r->input, sizeof x);
    for (int i = 0; i < ROUNDS; i += 2) {
        RANDOM_QUARTER(x[0], x[4], x[8], x[12]);
        RANDOM_QUARTER(x[1], x[5], x[9], x[13]);
        RANDOM_QUARTER(x[2], x[6], x[10], x[14]);
        RANDOM_QUARTER(x[3], x[7], x[11], x[15]);
        RANDOM_QUARTER(x[0], x[5], x[10], x[15]);
        RANDOM_QUARTER(x[1], x[6], x[11], x[12]);
        RANDOM_QUARTER(x[2], x[7], x[8], x[13]);
        RANDOM_QUARTER(x[3], x[4], x[9], x[14]);
    }
    for (int i = 0; i < 16; i++) {
        x[i] += r->input[i];
    }
    memcpy(r->block, x, sizeof x);
    r->used = 0;
    if (++r->input[12] == 0) {
        r->input[13]++;
    }
}

static inline uint8_t random_byte(struct random *r)
{
    if (__builtin_expect(r->used == sizeof r->block, 0)) {
        random_refill(r);
    }
    return r->block[r->used++];
}

static inline uint64_t random_word(struct random *r)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < sizeof word; i++) {
        word = word << 8 | random_byte(r);
    }
    return word;
}

#endif
