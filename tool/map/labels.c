/* See labels.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map/labels.h"
#include "profile/names.h"
#include "words.h"

static size_t hash(const char *text)
{
    uint64_t h = 14695981039346656037u;
    for (; *text; text++) {
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    }
    return (size_t)(h ^ h >> 32);
}

static void put(struct labels *l, uint32_t number)
{
    size_t at = hash(l->text[number]) & (l->index_room - 1);
    while (l->index[at]) {
        at = (at + 1) & (l->index_room - 1);
    }
    l->index[at] = number + 1;
}

static bool grow(struct labels *l)
{
    size_t room = l->room ? 2 * l->room : 256;
    char **text = realloc(l->text, room * sizeof *text);
    l->text = text ? text : l->text;
    uint32_t *index = text ? calloc(2 * room, sizeof *index) : NULL;
    if (!index) {
        return false;
    }
    free(l->index);
    l->index = index;
    l->index_room = 2 * room;
    l->room = room;
    for (size_t i = 0; i < l->count; i++) {
        put(l, (uint32_t)i);
    }
    return true;
}

uint32_t labels_of(struct labels *l, const char *text)
{
    if (l->count == l->room && !grow(l)) {
        return UINT32_MAX;
    }
    size_t at = hash(text) & (l->index_room - 1);
    while (l->index[at] && strcmp(l->text[l->index[at] - 1], text) != 0) {
        at = (at + 1) & (l->index_room - 1);
    }
    if (l->index[at]) {
        return l->index[at] - 1;
    }
    l->text[l->count] = strdup(text);
    if (!l->text[l->count]) {
        return UINT32_MAX;
    }
    l->index[at] = (uint32_t)l->count + 1;
    return (uint32_t)l->count++;
}

uint32_t labels_of_stack(struct labels *l, const struct symbol_frame *frame, size_t count)
{
    char *text = NULL;
    size_t length, place = names_place(frame, count);
    FILE *to = open_memstream(&text, &length);
    if (to) {
        names_put(to, &frame[place], 0);
    }
    uint32_t number = to && fclose(to) == 0 ? labels_of(l, text) : UINT32_MAX;
    free(text);
    return number;
}

void labels_end(struct labels *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->text[i]);
    }
    free(l->text);
    free(l->index);
    *l = (struct labels){0};
}
