/* See pieces.h. */
#include <stddef.h>

#include "trace/pieces.h"

const char *pieces_skip(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) {
        at++;
    }
    return at;
}

/* Behind the string that begins at the quote; NULL: it has no end. */
static const char *end_of_string(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"') {
            return at + 1;
        }
        at += *at == '\\';
    }
    return NULL;
}

/* Behind the value that begins here; NULL: none does, or it has no end. */
static const char *end_of_value(const char *at, const char *end)
{
    size_t open = 0;
    const char *start = at;

    for (; at < end; at++) {
        switch (*at) {
        case '"':
            at = end_of_string(at, end);
            if (!at || open == 0) {
                return at;
            }
            at--;
            break;
        case '{':
        case '[':
            open++;
            break;
        case '}':
        case ']':
            if (open == 0) {
                return at > start ? at : NULL;
            }
            if (--open == 0) {
                return at + 1;
            }
            break;
        case ',':
        case ' ':
        case '\t':
        case '\n':
        case '\r':
            if (open == 0) {
                return at > start ? at : NULL;
            }
            break;
        default:
            break;
        }
    }
    return NULL;
}

/* One of those two is next, and passed over; 0: neither is. */
static char take(struct pieces *p, char one, char other)
{
    p->at = pieces_skip(p->at, p->end);
    return p->at < p->end && (*p->at == one || *p->at == other) ? *p->at++ : 0;
}

int pieces_next(struct pieces *p, struct piece *key, struct piece *value)
{
    bool first = p->close == 0;

    if (first) {
        char open = take(p, '{', '[');
        if (!open) {
            return -1;
        }
        p->close = open == '{' ? '}' : ']';
    }
    if (take(p, p->close, p->close)) {
        return 0;
    }
    if (!first && !take(p, ',', ',')) {
        return -1;
    }
    p->at = pieces_skip(p->at, p->end);
    if (p->close == '}') {
        const char *end = p->at < p->end && *p->at == '"' ? end_of_string(p->at, p->end) : NULL;
        if (!end) {
            return -1;
        }
        *key = (struct piece){p->at + 1, end - 1};
        p->at = end;
        if (!take(p, ':', ':')) {
            return -1;
        }
        p->at = pieces_skip(p->at, p->end);
    }
    const char *end = end_of_value(p->at, p->end);
    if (!end) {
        return -1;
    }
    *value = (struct piece){p->at, end};
    p->at = end;
    return 1;
}
