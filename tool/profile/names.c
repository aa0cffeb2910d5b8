/* See names.h. */
#include <stdlib.h>
#include <string.h>

#include "profile/names.h"
#include "words.h"

#define PLACE_WITHIN 48 /* frames: a stack's place is looked for in these */

struct named {
    const struct symbol_frame *frame; /* NULL: not looked up yet */
    uint32_t count;
};

struct names {
    const struct trace *trace;
    struct symbols *symbols;
    const struct trace_node *node;
    const struct trace_frame *frame;
    const struct trace_module *module;
    uint32_t nodes, frames, modules;
    struct named *named; /* of each frame */
    int *number;         /* of each module in symbols; -2: not asked yet */
};

struct names *names_begin(const struct trace *trace, struct symbols *symbols)
{
    struct names *n = calloc(1, sizeof *n);
    if (!n) {
        return NULL;
    }
    n->trace = trace;
    n->symbols = symbols;
    n->node = trace_nodes(trace, &n->nodes);
    n->frame = trace_frames(trace, &n->frames);
    n->module = trace_modules(trace, &n->modules);
    n->named = calloc((size_t)n->frames + 1, sizeof *n->named);
    n->number = malloc(((size_t)n->modules + 1) * sizeof *n->number);
    if (!n->named || !n->number) {
        names_end(n);
        return NULL;
    }
    for (uint32_t i = 0; i < n->modules; i++) {
        n->number[i] = -2;
    }
    return n;
}

void names_end(struct names *n)
{
    if (n) {
        free(n->named);
        free(n->number);
        free(n);
    }
}

/* -- a stack -- */

static const struct named *name_frame(struct names *n, uint32_t number)
{
    struct named *named = &n->named[number];
    if (named->frame) {
        return named;
    }
    const struct trace_frame *f = &n->frame[number];
    const struct trace_module *m = f->module < n->modules ? &n->module[f->module] : NULL;
    if (f->function || f->file) {
        named->count = (uint32_t)symbols_known(n->symbols, f->function, f->file, f->line, m ? m->path : NULL, f->offset,
                                               &named->frame);
        return named;
    }
    int module = -1;
    if (m && m->path) {
        int *known = &n->number[f->module];
        if (*known == -2) {
            *known = symbols_module(n->symbols, m->path, m->build_id, m->build_id_bytes);
        }
        module = *known;
    }
    named->count = (uint32_t)symbols_find(n->symbols, module, module >= 0 ? f->offset : f->pc, true, &named->frame);
    return named;
}

size_t names_stack(struct names *n, uint32_t stack, struct symbol_frame *out, size_t most)
{
    static const char *const stands_for[] = {
        [0] = "(stack unknown)", [1] = "(other stacks)", [2] = "(live before recording)"};
    size_t count = 0;
    if (stack == 0 || stack >= n->nodes) {
        int which = stack == PROFILE_STACK_BEFORE ? 2 : stack == PROFILE_STACK_OTHER ? 1 : 0;
        out[0] = (struct symbol_frame){.function = stands_for[which]};
        return most > 0;
    }
    /* A tree whose parents are no older than it is broken: then there is an end as well. */
    for (uint32_t node = stack; node && node < n->nodes && count < most;
         node = n->node[node].parent < node ? n->node[node].parent : 0) {
        if (n->node[node].frame >= n->frames) {
            continue;
        }
        const struct named *named = name_frame(n, n->node[node].frame);
        for (uint32_t i = 0; i < named->count && count < most; i++) {
            out[count++] = named->frame[i];
        }
    }
    if (count == 0 && most > 0) {
        out[count++] = (struct symbol_frame){.function = stands_for[0]};
    }
    return count;
}

/* -- what is passed over -- */

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static const char *const allocators[] = {
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "aligned_alloc",
    "memalign",
    "posix_memalign",
    "valloc",
    "pvalloc",
    "strdup",
    "strndup",
    "__strdup",
    "__strndup",
    "wcsdup",
    "xmalloc",
    "xcalloc",
    "xrealloc",
    "xstrdup",
    "xstrndup",
    "xmemdup",
    "xnmalloc",
    "xzalloc",
    "x2realloc",
    "x2nrealloc",
    "xreallocarray",
    "xpalloc",
    "xasprintf",
    "xvasprintf",
    "safe_malloc",
    "safe_calloc",
    "safe_realloc",
    "asprintf",
    "vasprintf",
    "__asprintf",
    "__vasprintf_internal",
    "g_malloc",
    "g_malloc0",
    "g_malloc_n",
    "g_malloc0_n",
    "g_realloc",
    "g_realloc_n",
    "g_try_malloc",
    "g_strdup",
    "g_strndup",
    "g_memdup",
    "g_memdup2",
    "g_slice_alloc",
    "g_slice_alloc0",
    "__rust_alloc",
    "__rust_realloc",
    "__rust_alloc_zeroed",
    "__rdl_alloc",
    "__rdl_realloc",
    "__rdl_alloc_zeroed",
    "__rg_alloc",
    "__rg_realloc",
    "_objalloc_alloc",
    "sdsnewlen",
    "zmalloc",
    "zcalloc",
    "zrealloc",
    "ztrymalloc_usable",
    "PyMem_Malloc",
    "PyMem_RawMalloc",
    "PyMem_Realloc",
    "PyMem_RawRealloc",
    "PyMem_Calloc",
    "PyMem_RawCalloc",
    "PyObject_Malloc",
    "PyObject_Realloc",
    "PyObject_Calloc",
    "_PyMem_RawMalloc",
    "_PyMem_RawRealloc",
    "_PyMem_RawCalloc",
    "_PyObject_Malloc",
    "_PyObject_Realloc",
    "sqlite3MemMalloc",
    "sqlite3MemRealloc",
    "sqlite3Malloc",
    "sqlite3Realloc",
    "sqlite3_malloc",
    "sqlite3_malloc64",
    "sqlite3_realloc",
    "sqlite3_realloc64",
    "mallocWithAlarm",
    "dbMallocRawFinish",
};
/* Beginnings of names in C++ and Rust. A method of a container is a call by the program: what is behind it is passed over with it. */
static const char *const beginnings[] = {
    "operator new",       "std::",       "__gnu_cxx::", "alloc::",
    "<alloc::",           "core::",      "<core::",     "hashbrown::",
    "<hashbrown::",       "void std::",  "void* std::", "__gnu_debug::",
    "boost::container::", "boost::pool", "allot::",     "allot_",
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_listed(const char *function)
{
    static const char *sorted[sizeof allocators / sizeof allocators[0]];
    if (!sorted[0]) {
        memcpy(sorted, allocators, sizeof allocators);
        qsort(sorted, sizeof sorted / sizeof sorted[0], sizeof sorted[0], compare_names);
    }
    return bsearch(&function, sorted, sizeof sorted / sizeof sorted[0], sizeof sorted[0], compare_names) != NULL;
}

bool names_is_allocator(const struct symbol_frame *frame)
{
    const char *function = frame->function;
    if (!function) {
        return false;
    }
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (begins(function, beginnings[i])) {
            return true;
        }
    }
    return is_listed(function);
}

/* Of a library without its symbols: what it has no name for, and what is called by its function that allocates, is part of that. */
static bool serves_allocator(const struct symbol_frame *frame, const struct symbol_frame *caller)
{
    return !frame->function && caller->function && frame->module && caller->module &&
           strcmp(frame->module, caller->module) == 0 && is_listed(caller->function);
}

size_t names_place(const struct symbol_frame *frame, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!names_is_allocator(&frame[i]) && !(i + 1 < count && serves_allocator(&frame[i], &frame[i + 1]))) {
            return i;
        }
    }
    return 0;
}

/* -- places -- */

static int compare_text(const char *a, const char *b) { return a == b ? 0 : !a ? -1 : !b ? 1 : strcmp(a, b); }

int names_compare(const struct symbol_frame *a, const struct symbol_frame *b)
{
    int by = compare_text(a->function, b->function);
    if (by == 0 && (a->file || b->file)) {
        by = compare_text(a->file, b->file);
        return by ? by : (a->line > b->line) - (a->line < b->line);
    }
    if (by == 0) {
        by = compare_text(a->module ? words_base(a->module) : NULL, b->module ? words_base(b->module) : NULL);
    }
    if (by == 0 && !a->function) {
        by = (a->offset > b->offset) - (a->offset < b->offset);
    }
    return by;
}

bool names_same(const struct symbol_frame *a, const struct symbol_frame *b) { return names_compare(a, b) == 0; }

static uint64_t hash_place(const struct symbol_frame *f)
{
    uint64_t hash = 0xcbf29ce484222325u;
    const char *texts[] = {f->function, f->file ? f->file : f->module ? words_base(f->module) : NULL};
    for (size_t i = 0; i < 2; i++) {
        for (const char *c = texts[i] ? texts[i] : ""; *c; c++) {
            hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
        }
    }
    hash = (hash ^ (f->file ? f->line : f->function ? 0 : f->offset)) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 31;
}

struct group *names_group(struct names *n, const struct profile *p, uint32_t *count, uint32_t **group_of_site)
{
    size_t room = 1024;
    while (room < 2 * (size_t)p->sites + 2) {
        room *= 2;
    }
    /* Most stacks share their places: groups grow as they come. */
    uint32_t *index = calloc(room, sizeof *index), *of = malloc(((size_t)p->sites + 1) * sizeof *of), groups = 0,
             group_room = 256;
    struct group *group = malloc(group_room * sizeof *group);
    bool failed = !index || !of || !group;
    for (uint32_t s = 1; s <= p->sites && !failed; s++) {
        struct symbol_frame stack[PLACE_WITHIN];
        size_t frames = names_stack(n, p->site[s].stack, stack, PLACE_WITHIN);
        const struct symbol_frame *place = &stack[names_place(stack, frames)];
        size_t i = hash_place(place) & (room - 1);
        while (index[i] && !names_same(&group[index[i] - 1].place, place)) {
            i = (i + 1) & (room - 1);
        }
        if (!index[i]) {
            if (groups == group_room) {
                struct group *grown = realloc(group, 2 * (size_t)group_room * sizeof *group);
                failed = !grown;
                if (failed) {
                    break;
                }
                group = grown;
                group_room *= 2;
            }
            group[groups] = (struct group){.place = *place, .sum = {.life_least = UINT64_MAX}, .widest = s};
            index[i] = ++groups;
        }
        struct group *g = &group[index[i] - 1];
        of[s] = index[i] - 1;
        g->sites++;
        g->widest =
            p->site[s].bytes + p->site[s].before_bytes > p->site[g->widest].bytes + p->site[g->widest].before_bytes
                ? s
                : g->widest;
        profile_add(&g->sum, &p->site[s]);
    }
    free(index);
    if (failed || !group_of_site) {
        free(of);
        of = NULL;
    }
    if (failed) {
        free(group);
        return NULL;
    }
    if (group_of_site) {
        *group_of_site = of;
    }
    *count = groups;
    return group;
}

/* -- in words -- */

/* What parentheses there are between the < and > of a template, or in "operator()" and "(anonymous namespace)", are part of it. */
size_t names_length(const char *function)
{
    static const char anonymous[] = "(anonymous namespace)";
    size_t at = begins(function, anonymous) ? strlen(anonymous) : 0, depth = 0;
    while (function[at] && (function[at] != '(' || depth)) {
        if (begins(function + at, "operator")) {
            at += strlen("operator");
            at += begins(function + at, "()") ? 2 : strspn(function + at, "<>-=");
        } else {
            depth += function[at] == '<';
            depth -= function[at] == '>' && depth > 0;
            at++;
        }
        at += begins(function + at, anonymous) ? strlen(anonymous) : 0;
    }
    return at;
}

size_t names_put(FILE *to, const struct symbol_frame *f, size_t width)
{
    char text[512], function[320];
    if (f->function) {
        size_t length = names_length(f->function);
        length =
            length && length < sizeof function ? length : sizeof function - 1; /* "(stack unknown)" is a whole one */
        snprintf(function, sizeof function, "%.*s", (int)length, f->function);
        if (f->file) {
            snprintf(text, sizeof text, "%s at %.120s:%u", function, words_base(f->file), f->line);
        } else if (f->module) {
            snprintf(text, sizeof text, "%s in %.120s", function, words_base(f->module));
        } else {
            snprintf(text, sizeof text, "%s", function);
        }
    } else if (f->module) {
        snprintf(text, sizeof text, "%.400s+0x%llx", words_base(f->module), (unsigned long long)f->offset);
    } else {
        snprintf(text, sizeof text, "0x%llx", (unsigned long long)f->offset);
    }
    return words_put(to, text, width);
}

void names_json_place(struct json *json, const struct symbol_frame *f)
{
    json_text(json, "function", f->function);
    json_text(json, "file", f->file);
    json_number(json, "line", f->line);
    json_text(json, "module", f->module);
}

void names_json(struct json *json, const char *key, const struct symbol_frame *frame, size_t count)
{
    json_array(json, key);
    for (size_t i = 0; i < count; i++) {
        const struct symbol_frame *f = &frame[i];
        json_object(json, NULL);
        names_json_place(json, f);
        json_number(json, "offset", f->offset);
        json_flag(json, "inlined", f->inlined);
        json_end(json);
    }
    json_end(json);
}
