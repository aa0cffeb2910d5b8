/* allot compare --table: what lies where on a strategy at one moment.
 *
 *     start       size  block  owner
 *         0        4.0 KiB    12  parse_line at parse.c:12
 *      4096          96 B         free
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "compare.h"
#include "profile/names.h"
#include "words.h"

struct rows {
    struct replay_block *row;
    uint64_t count, room;
    bool failed;
};

static void keep(void *arg, const struct replay_block *block)
{
    struct rows *rows = arg;
    if (rows->count == rows->room) {
        uint64_t room = rows->room ? 2 * rows->room : 1024;
        struct replay_block *grown = rows->failed ? NULL : realloc(rows->row, room * sizeof *grown);
        if (!grown) {
            rows->failed = true;
            return;
        }
        rows->row = grown;
        rows->room = room;
    }
    rows->row[rows->count++] = *block;
}

static bool is_free(const struct replay_block *row) { return row->block == UINT32_MAX; }

/* The place of its stack; false: nothing is known. */
static bool find_owner(struct names *names, const struct replay_block *row, struct symbol_frame *out)
{
    static struct symbol_frame stack[NAMES_DEEPEST];
    size_t count = row->site ? names_stack(names, row->site, stack, NAMES_DEEPEST) : 0;
    if (count > 0) {
        *out = stack[names_place(stack, count)];
    }
    return count > 0;
}

static void print_text(const struct table_wanted *wanted, const struct rows *rows, const struct replay_result *result,
                       uint64_t at, struct names *names)
{
    uint64_t shown = wanted->rows && wanted->rows < rows->count ? wanted->rows : rows->count, free_bytes = 0,
             free_rows = 0, used = 0;
    for (uint64_t i = 0; i < rows->count; i++) {
        const struct replay_block *row = &rows->row[i];
        free_bytes += is_free(row) ? row->size : 0;
        free_rows += is_free(row);
        used += is_free(row) ? 0 : row->size;
    }
    uint64_t blocks = rows->count - free_rows;
    words_put(stdout, words_base(wanted->name), 60);
    printf(": memory on %s after operation %s: %s in %s block%s, %s free in %s hole%s\n\n", result->name,
           words_count(at + 1).text, words_bytes(used).text, words_count(blocks).text, words_s(blocks),
           words_bytes(free_bytes).text, words_count(free_rows).text, words_s(free_rows));
    printf("%16s %14s %10s  %s\n", "start", "size", "block", "owner");
    for (uint64_t i = 0; i < shown; i++) {
        const struct replay_block *row = &rows->row[i];
        struct symbol_frame frame;
        printf("%16" PRIu64 " %14" PRIu64 " ", row->start, row->size);
        if (is_free(row)) {
            printf("%10s  free\n", "");
            continue;
        }
        printf("%10" PRIu32 "  ", row->block);
        if (find_owner(names, row, &frame)) {
            names_put(stdout, &frame, 60);
        } else {
            putchar('?');
        }
        putchar('\n');
    }
    if (shown < rows->count) {
        printf("and %s more: --rows 0 shows all\n", words_count(rows->count - shown).text);
    }
}

static void print_json(const struct table_wanted *wanted, const struct rows *rows, const struct replay_result *result,
                       uint64_t at, struct names *names)
{
    struct json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_text(&j, "name", wanted->name);
    json_text(&j, "strategy", result->name);
    json_number(&j, "op", at + 1);
    json_array(&j, "table");
    for (uint64_t i = 0; i < rows->count; i++) {
        const struct replay_block *row = &rows->row[i];
        struct symbol_frame frame;
        json_object(&j, NULL);
        json_number(&j, "start", row->start);
        json_number(&j, "size", row->size);
        json_flag(&j, "free", is_free(row));
        if (!is_free(row)) {
            json_number(&j, "block", row->block);
        }
        if (!is_free(row) && find_owner(names, row, &frame)) {
            names_json(&j, "frames", &frame, 1);
        }
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
    putchar('\n');
}

int compare_table(const struct ops *ops, const struct table_wanted *wanted)
{
    struct rows rows = {0};
    struct replay_result result;
    struct replay_wanted replay = {.map_at = wanted->at, .table = keep, .arg = &rows};
    uint64_t at = wanted->at == UINT64_MAX ? ops->peak_at : wanted->at;
    int status = 1;
    struct symbols *symbols = symbols_begin();
    struct names *names = symbols ? names_begin(wanted->trace, symbols) : NULL;
    if (!names) {
        complain("out of memory, %s, end other programs", wanted->name);
    } else if (replay_model(wanted->strategy, ops, &replay, &result) != 0) {
        complain("%s: %s", wanted->strategy, result.failed);
    } else if (rows.failed) {
        complain("no memory for a table of that length, %s, choose another moment", wanted->name);
    } else {
        (wanted->json ? print_json : print_text)(wanted, &rows, &result, at, names);
        status = 0;
    }
    names_end(names);
    symbols_end(symbols);
    free(rows.row);
    return status;
}
