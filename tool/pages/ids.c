/* See ids.h. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "pages/ids.h"

/* Two multiplications to 128 bits with halves folded: each bit of the key and of the number reaches each bit of the hash. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_number(const struct ids *ids, uint64_t number)
{
    return fold(fold(number ^ ids->key[0], ids->key[1]) ^ ids->key[0], 0x9e3779b97f4a7c15u);
}

static uint64_t hash_text(const struct ids *ids, const char *text, size_t bytes)
{
    uint64_t hash = ids->key[0] ^ bytes;
    for (; bytes > 0;) {
        uint64_t word = 0;
        size_t part = bytes < sizeof word ? bytes : sizeof word;
        memcpy(&word, text, part);
        hash = fold(hash ^ word, ids->key[1]);
        text += part;
        bytes -= part;
    }
    return fold(hash, 0x9e3779b97f4a7c15u);
}

static uint64_t hash_of(const struct ids *ids, uint32_t index)
{
    return ids->text ? hash_text(ids, ids->text + ids->number[index], ids->number[index + 1] - ids->number[index])
                     : hash_number(ids, ids->number[index]);
}

/* Room for one more; there is a slot that is free. */
static bool grow(struct ids *ids)
{
    if (ids->count >= IDS_MOST) {
        return false;
    }
    if (ids->count + 2 > ids->numbers) {
        size_t numbers = ids->numbers ? 2 * ids->numbers : 1024;
        uint64_t *number = realloc(ids->number, numbers * sizeof *number);
        if (!number) {
            return false;
        }
        ids->number = number;
        ids->numbers = numbers;
    }
    if (2 * ((size_t)ids->count + 1) <= ids->slots) {
        return true;
    }
    if (!ids->slots && getrandom(ids->key, sizeof ids->key, 0) != sizeof ids->key) {
        ids->key[0] = (uintptr_t)ids;
    }
    ids->key[1] |= 1;
    size_t slots = ids->slots ? 2 * ids->slots : 4096;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (!slot) {
        return false;
    }
    for (uint32_t i = 0; i < ids->count; i++) {
        size_t at = hash_of(ids, i) & (slots - 1);
        while (slot[at]) {
            at = (at + 1) & (slots - 1);
        }
        slot[at] = i + 1;
    }
    free(ids->slot);
    ids->slot = slot;
    ids->slots = slots;
    return true;
}

uint32_t ids_number(struct ids *ids, uint64_t number)
{
    if (!grow(ids)) {
        return UINT32_MAX;
    }
    size_t at = hash_number(ids, number) & (ids->slots - 1);
    for (; ids->slot[at]; at = (at + 1) & (ids->slots - 1)) {
        if (ids->number[ids->slot[at] - 1] == number) {
            return ids->slot[at] - 1;
        }
    }
    ids->number[ids->count] = number;
    ids->slot[at] = ++ids->count;
    return ids->count - 1;
}

static bool grow_text(struct ids *ids, size_t bytes)
{
    if (ids->text && ids->room - ids->used >= bytes) {
        return true;
    }
    size_t room = ids->room ? ids->room : 1 << 16;
    while (room - ids->used < bytes) {
        room *= 2;
    }
    char *text = realloc(ids->text, room);
    if (!text) {
        return false;
    }
    ids->text = text;
    ids->room = room;
    return true;
}

uint32_t ids_text(struct ids *ids, const char *text, size_t bytes)
{
    if (!grow_text(ids, bytes) || !grow(ids)) {
        return UINT32_MAX;
    }
    size_t at = hash_text(ids, text, bytes) & (ids->slots - 1);
    for (; ids->slot[at]; at = (at + 1) & (ids->slots - 1)) {
        uint32_t i = ids->slot[at] - 1;
        if (ids->number[i + 1] - ids->number[i] == bytes && memcmp(ids->text + ids->number[i], text, bytes) == 0) {
            return i;
        }
    }
    memcpy(ids->text + ids->used, text, bytes);
    ids->number[ids->count] = ids->used;
    ids->used += bytes;
    ids->number[ids->count + 1] = ids->used;
    ids->slot[at] = ++ids->count;
    return ids->count - 1;
}

void ids_end(struct ids *ids)
{
    free(ids->number);
    free(ids->text);
    free(ids->slot);
    *ids = (struct ids){0};
}
