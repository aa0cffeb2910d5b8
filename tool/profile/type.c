/* See profile/type.h. Time: the length of the names. */
#include <string.h>

#include "profile/names.h"
#include "profile/type.h"

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* Arguments of templates that are what they always are. */
static bool is_usual(const char *argument)
{
    static const char *const usual[] = {"std::allocator<", "std::less<",           "std::char_traits<",   "std::hash<",
                                        "std::equal_to<",  "std::default_delete<", "alloc::alloc::Global"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (begins(argument, usual[i])) {
            return true;
        }
    }
    return false;
}

/* The end of what begins at `at`: where its template's list goes on, or ends. */
static size_t argument_end(const char *text, size_t at, size_t length)
{
    size_t depth = 0;
    while (at < length && (depth || (text[at] != ',' && text[at] != '>'))) {
        depth += text[at] == '<' || text[at] == '(';
        depth -= (text[at] == '>' || text[at] == ')') && depth > 0;
        at++;
    }
    return at;
}

/* Copies a class's name without usual arguments; false: it does not fit. */
static bool shorten(const char *text, size_t length, char *out, size_t room)
{
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        if (text[at] == ',') {
            size_t argument = at + 1 + strspn(text + at + 1, " ");
            if (argument < length && is_usual(text + argument)) {
                at = argument_end(text, argument, length);
                at += text[at] == ' ';
                continue;
            }
        }
        if (text[at] == ' ' && at + 1 < length && text[at + 1] == '>') { /* as of two that stood side by side */
            at++;
        }
        if (used + 1 == room) {
            return false;
        }
        out[used++] = text[at++];
    }
    out[used] = 0;
    return used > 0;
}

/* "std::vector<int>::reserve" of its class: what stands before the last :: that is not within <>. 0: it is no class's. */
static size_t class_length(const char *function, size_t length)
{
    size_t depth = 0, last = 0;
    for (size_t at = 0; at + 1 < length && !begins(function + at, "operator"); at++) {
        depth += function[at] == '<' || function[at] == '(';
        depth -= (function[at] == '>' || function[at] == ')') && depth > 0;
        last = depth == 0 && function[at] == ':' && function[at + 1] == ':' ? at : last;
    }
    return last;
}

/* "std::make_shared<Session>": Session. */
static bool made(const char *function, char *out, size_t room)
{
    static const char *const makers[] = {"make_unique<", "make_shared<", "allocate_shared<"};
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        const char *at = strstr(function, makers[i]);
        if (at) {
            at += strlen(makers[i]);
            return shorten(at, argument_end(at, 0, strlen(at)), out, room);
        }
    }
    return false;
}

/* Of a container or its like: a class with what it holds, and none of those by which containers are made. */
static bool container(const char *function, char *out, size_t room)
{
    static const char *const inner[] = {
        "std::allocator",  "__gnu_cxx::",     "std::__new_allocator", "std::__allocat", "std::_Vector_base",
        "std::_Rb_tree",   "std::_Hashtable", "std::__detail::",      "std::_Deque_b",  "std::__cxx11::_List_base",
        "std::_List_base", "std::_Fwd_list_", "std::__shared_count",  "std::__uniq_pt"};
    static const char *const outer[] = {"std::", "alloc::", "<alloc::", "hashbrown::", "boost::container::"};
    size_t length = class_length(function, names_length(function));
    bool is = false;
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++) {
        is = is || begins(function, outer[i]);
    }
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
        is = is && !begins(function, inner[i]);
    }
    return is && length && memchr(function, '<', length) && shorten(function, length, out, room);
}

/* "std::allocator<Node>::allocate": Node. */
static bool allocated(const char *function, char *out, size_t room)
{
    static const char *const allocators[] = {"std::allocator<", "__gnu_cxx::new_allocator<", "std::__new_allocator<"};
    for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++) {
        if (begins(function, allocators[i])) {
            const char *at = function + strlen(allocators[i]);
            return shorten(at, argument_end(at, 0, strlen(at)), out, room);
        }
    }
    return false;
}

bool type_of_stack(const struct symbol_frame *frame, size_t count, char *out, size_t room)
{
    size_t place = names_place(frame, count);
    for (size_t i = place; i-- > 0;) {
        if (frame[i].function && (made(frame[i].function, out, room) || container(frame[i].function, out, room))) {
            return true;
        }
    }
    for (size_t i = 0; i < place; i++) {
        if (frame[i].function && allocated(frame[i].function, out, room)) {
            return true;
        }
    }
    return false;
}
