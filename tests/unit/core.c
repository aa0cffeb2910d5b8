/* Reading the dead: cores made by hand - glibc's heap with every kind of chunk, damaged ones, cut and hostile files. */
#include "common/unit.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "core/dead.h"
#include "core/made_allot.h"
#include "graph/grow.h"
#include "heap/sample.h"
#include "probe/calls_tree.h"

static struct made made;
static struct core core;
static struct graph_blocks blocks;
static struct glibc_report report;

static int begin(void **state)
{
    (void)state;
    made_begin(&made);
    return 0;
}

static int end(void **state)
{
    (void)state;
    core_close(&core);
    grow_free(blocks.block, blocks.room, sizeof *blocks.block);
    blocks = (struct graph_blocks){0};
    return 0;
}

static void look(void)
{
    struct core_error error = {""};
    made_end(&made);
    if (!core_open_memory(&core, made.file, made.bytes, &error)) {
        fail_msg("%s", error.line);
    }
    assert_true(glibc_walk(&core, 0, &blocks, &report));
    assert_true(core_settle(&core));
}

/* Whether a block is there; else 0. */
static uint64_t size_of(uint64_t address)
{
    for (size_t i = 0; i < blocks.count; i++) {
        if (blocks.block[i].address == address) {
            return blocks.block[i].size;
        }
    }
    return 0;
}

static void used_and_free_chunks_are_told_apart(void **state)
{
    (void)state;
    uint64_t a = made_chunk(&made, 32), b = made_free(&made, 2048), c = made_chunk(&made, 0x500);
    look();
    assert_int_equal(report.arenas, 1);
    assert_int_equal(report.damages, 0);
    assert_int_equal(size_of(a), 24);
    assert_int_equal(size_of(b), 0);
    assert_int_equal(size_of(c), 0x4f8);
    assert_int_equal(report.used.blocks, 2);
    assert_int_equal(report.free.bytes, 2048);
    assert_int_equal(report.used.bytes + report.free.bytes + report.top.bytes, report.system);
}

static void a_chunk_mapped_for_itself_is_found_and_counted(void **state)
{
    (void)state;
    look();
    assert_int_equal(size_of(MADE_MAPPED + 16), MADE_PAGE - 16);
    assert_int_equal(report.mapped.blocks, 1);
    assert_int_equal(report.mapped_told, 1);
}

/* -- glibc 2.43: no fast bins, tcaches of more lists -- */

static void without_fast_bins(void)
{
    made_put(&made, MADE_ARENA + 2160, MADE_ARENA + 112 - 24); /* where it begins itself says its successor */
}

static void an_arena_without_fast_bins_is_read(void **state)
{
    (void)state;
    without_fast_bins();
    uint64_t a = made_chunk(&made, 32), b = made_free(&made, 2048), c = made_chunk(&made, 0x500);
    made_put(&made, MADE_ARENA + 16, a - 16); /* what were a fast bin is no part of it */
    look();
    assert_int_equal(report.arenas, 1);
    assert_int_equal(report.damages, 0);
    assert_int_equal(report.fast.blocks, 0);
    assert_int_equal(size_of(a), 24);
    assert_int_equal(size_of(b), 0);
    assert_int_equal(size_of(c), 0x4f8);
    assert_int_equal(report.used.bytes + report.free.bytes + report.top.bytes, report.system);
}

static void a_larger_tcaches_blocks_are_free(void **state)
{
    (void)state;
    enum { LISTS_AT = 76 * 2, MOST = 16 };
    without_fast_bins();
    uint64_t cache = made_chunk(&made, 0x310), a = made_chunk(&made, 48), b = made_chunk(&made, 48);
    uint64_t large = made_chunk(&made, 0x600), larger = made_chunk(&made, 0x640), live = made_chunk(&made, 0x600);
    for (unsigned i = 0; i < 76; i += 4) {
        made_put(&made, cache + 2 * i, MOST * 0x0001000100010001u);
    }
    made_put(&made, cache, made_get(&made, cache) - (2u << 16));
    made_put(&made, cache + 2 * 64, made_get(&made, cache + 2 * 64) - 2);
    made_put(&made, cache + LISTS_AT + 8, a);
    made_put(&made, a, b ^ a >> 12);
    made_put(&made, b, b >> 12);
    made_put(&made, cache + LISTS_AT + 8 * 64, large);
    made_put(&made, large, larger ^ large >> 12);
    made_put(&made, larger, larger >> 12);
    look();
    assert_int_equal(report.damages, 0);
    assert_int_equal(report.tcache.blocks, 4);
    assert_int_equal(report.tcache.bytes, 2 * 48 + 0x600 + 0x640);
    assert_int_equal(size_of(a) + size_of(b) + size_of(large) + size_of(larger), 0);
    assert_int_equal(size_of(live), 0x5f8);
    assert_int_equal(size_of(cache), 0x308);
}

static void a_chunk_mapped_for_itself_may_end_before_a_head(void **state)
{
    (void)state;
    without_fast_bins();
    made_put(&made, MADE_MAPPED + 8, (MADE_PAGE - 16) | 2);
    made_put(&made, MADE_BASE - 16, MADE_PAGE - 16);
    look();
    assert_int_equal(size_of(MADE_MAPPED + 16), MADE_PAGE - 24);
    assert_int_equal(report.mapped.blocks, 1);
    assert_int_equal(report.mapped.bytes, MADE_PAGE);
    assert_int_equal(report.mapped_told, 1);
}

static void an_aligned_chunk_mapped_for_itself_begins_where_malloc_said(void **state)
{
    (void)state;
    made_put(&made, MADE_MAPPED + 0xff0 - 0x800, 0x7f0); /* aligned to 2 KiB: its second head */
    made_put(&made, MADE_MAPPED + 0xff8 - 0x800, (MADE_PAGE - 0x7f0) | 2);
    look();
    assert_int_equal(size_of(MADE_MAPPED + 0x800), MADE_PAGE - 0x800);
    assert_int_equal(report.mapped.bytes, MADE_PAGE);
}

/* Fills a tcache with the chunks given, first to last. */
static void fill_tcache(uint64_t cache, unsigned bin, const uint64_t *block, unsigned count, bool mangled)
{
    made_put(&made, cache + 2 * (bin & ~3u), (uint64_t)count << 16 * (bin & 3));
    made_put(&made, cache + 128 + 8 * bin, block[0]);
    for (unsigned i = 0; i < count; i++) {
        uint64_t next = i + 1 < count ? block[i + 1] : 0;
        made_put(&made, block[i], mangled ? next ^ block[i] >> 12 : next);
    }
}

static void what_a_tcache_keeps_is_free(void **state)
{
    (void)state;
    for (int mangled = 0; mangled < 2; mangled++) {
        made_begin(&made);
        uint64_t cache = made_chunk(&made, 0x290), kept[3], live = made_chunk(&made, 48);
        for (unsigned i = 0; i < 3; i++) {
            kept[i] = made_chunk(&made, 48);
        }
        fill_tcache(cache, 1, kept, 3, mangled);
        look();
        assert_int_equal(report.damages, 0);
        assert_int_equal(report.tcache.blocks, 3);
        assert_int_equal(report.tcache.bytes, 144);
        assert_int_equal(size_of(live), 40);
        assert_int_equal(size_of(cache), 0x288);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(size_of(kept[i]), 0);
        }
        end(NULL);
    }
}

static void what_a_fast_bin_keeps_is_free(void **state)
{
    (void)state;
    for (int mangled = 0; mangled < 2; mangled++) {
        made_begin(&made);
        uint64_t a = made_chunk(&made, 64), live = made_chunk(&made, 64), b = made_chunk(&made, 64);
        made_put(&made, MADE_ARENA + 16 + 8 * 2, a - 16);
        made_put(&made, a, mangled ? (b - 16) ^ a >> 12 : b - 16);
        made_put(&made, b, mangled ? b >> 12 : 0);
        look();
        assert_int_equal(report.damages, 0);
        assert_int_equal(report.fast.blocks, 2);
        assert_int_equal(size_of(a), 0);
        assert_int_equal(size_of(b), 0);
        assert_int_equal(size_of(live), 56);
        end(NULL);
    }
}

static void a_ring_of_freed_chunks_ends(void **state)
{
    (void)state;
    uint64_t a = made_chunk(&made, 64), b = made_chunk(&made, 64);
    made_put(&made, MADE_ARENA + 16 + 8 * 2, a - 16);
    made_put(&made, a, (b - 16) ^ a >> 12);
    made_put(&made, b, (a - 16) ^ b >> 12);
    look();
    assert_true(report.damages > 0);
    assert_int_equal(size_of(a), 0);
}

static void an_overwritten_head_costs_no_more_than_its_chunk(void **state)
{
    (void)state;
    uint64_t first = made_chunk(&made, 64), broken = made_chunk(&made, 64), last[8];
    for (unsigned i = 0; i < 8; i++) {
        last[i] = made_chunk(&made, 64);
    }
    made_put(&made, broken - 8, 0x4141414141414141);
    look();
    assert_int_equal(size_of(first), 56);
    assert_int_equal(size_of(broken), 0);
    assert_int_equal(report.damages, 1);
    assert_int_equal(report.damage[0].address, broken - 16);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(size_of(last[i]), 56);
    }
}

static void counts_are_found_in_the_layout_before_2_35_too(void **state)
{
    (void)state;
    uint64_t a = made_chunk(&made, 64);
    made_put(&made, MADE_BASE - 40, 0);
    made_put(&made, MADE_BASE - 32, 65536ull << 32 | 1); /* how many are mapped, at most so many */
    look();
    assert_int_equal(size_of(a), 56);
    assert_int_equal(report.mapped_told, 1);
}

static void without_the_default_limit_the_heap_begins_at_the_lowest_address_that_leads_on(void **state)
{
    (void)state;
    uint64_t a = made_chunk(&made, 64), b = made_chunk(&made, 96);
    made_put(&made, MADE_BASE - 32, 1000); /* mallopt(M_MMAP_MAX, 1000) */
    made_put(&made, MADE_ROOT, b - 16);
    look();
    assert_int_equal(size_of(a), 56);
    assert_int_equal(size_of(b), 88);
    assert_true(report.mapped_told == UINT64_MAX);
}

static const struct image_range *range_of(uint64_t address)
{
    for (size_t i = 0; i < core.image.ranges; i++) {
        const struct image_range *r = &core.image.range[i];
        if (address >= r->from && address < r->to && r->kind != IMAGE_REGISTERS && r->kind != IMAGE_HELD) {
            return r;
        }
    }
    return NULL;
}

static void each_piece_of_memory_is_what_it_was(void **state)
{
    (void)state;
    made_chunk(&made, 64);
    look();
    assert_int_equal(core.image.range[0].kind, IMAGE_REGISTERS);
    assert_int_equal(core.image.range[0].tid, MADE_TID);
    assert_int_equal(range_of(MADE_HEAP)->kind, IMAGE_HEAP);
    assert_int_equal(range_of(MADE_MAPPED)->kind, IMAGE_HEAP);
    assert_int_equal(range_of(MADE_ROOT)->kind, IMAGE_GLOBALS);
    assert_int_equal(range_of(MADE_ARENA + 112)->kind, IMAGE_HEAP); /* its bins are no references */
    assert_int_equal(range_of(MADE_LIBC)->kind, IMAGE_CONSTANT);
    assert_int_equal(range_of(MADE_SP)->kind, IMAGE_STACK);
    assert_int_equal(range_of(MADE_SP - 128)->kind, IMAGE_STACK);
    assert_null(range_of(MADE_SP - 136)); /* calls that have returned */
    assert_int_equal(range_of(MADE_SP)->tid, MADE_TID);
}

static void what_was_cut_off_is_named_by_its_addresses(void **state)
{
    (void)state;
    uint64_t a = made_chunk(&made, 64);
    made_chunk(&made, 64);
    made.bytes = 6 * MADE_PAGE; /* without the stack */
    look();
    assert_int_equal(size_of(a), 56);
    assert_int_equal(core.missings, 1);
    assert_true(core.missing[0].from == MADE_STACK && core.missing[0].to == MADE_STACK + MADE_PAGE);
    assert_int_equal(core.missing[0].why, CORE_CUT);
    assert_int_equal(core.missing_bytes, MADE_PAGE);
    assert_null(core_at(&core, MADE_SP, 8));
}

static void a_heap_cut_short_is_walked_as_far_as_it_goes(void **state)
{
    (void)state;
    uint64_t a = made_chunk(&made, 64);
    made_chunk(&made, MADE_PAGE);
    uint64_t lost = made_chunk(&made, 64);
    made.bytes = 4 * MADE_PAGE;
    look();
    assert_int_equal(size_of(a), 56);
    assert_int_equal(size_of(lost), 0);
    assert_true(core.missings > 0);
}

static void refused(size_t at, uint64_t value, unsigned bytes, const char *what)
{
    struct core_error error = {""};
    struct core other;
    made_begin(&made);
    made_end(&made);
    memcpy(made.file + at, &value, bytes);
    assert_false(core_open_memory(&other, made.file, made.bytes, &error));
    if (!strstr(error.line, what)) {
        fail_msg("\"%s\" says nothing of \"%s\"", error.line, what);
    }
}

static void a_file_that_contradicts_itself_gets_one_line_that_names_the_byte(void **state)
{
    (void)state;
    size_t first = sizeof(Elf64_Ehdr), load = first + sizeof(Elf64_Phdr), note = first + 6 * sizeof(Elf64_Phdr);
    refused(0, 0, 4, "at byte 0");
    refused(EI_CLASS, ELFCLASS32, 1, "at byte 4");
    refused(offsetof(Elf64_Ehdr, e_type), ET_EXEC, 2, "at byte 16");
    refused(offsetof(Elf64_Ehdr, e_machine), EM_PPC64, 2, "at byte 18");
    refused(offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 8, 8, "program headers");
    refused(offsetof(Elf64_Ehdr, e_phnum), PN_XNUM, 2,
            "core has no memory, at byte 64"); /* nor a section header that counts */
    refused(first + offsetof(Elf64_Phdr, p_filesz), UINT64_MAX, 8, "notes");
    refused(load + offsetof(Elf64_Phdr, p_memsz), UINT64_MAX, 8, "at byte 120");
    refused(load + offsetof(Elf64_Phdr, p_vaddr), MADE_STACK, 8, "at byte 176");
    refused(load + offsetof(Elf64_Phdr, p_offset), 3 * MADE_PAGE + 4, 8, "not at a multiple of 8 bytes, at byte 120");
    refused(note, UINT32_MAX, 4, "at byte 400");
    refused(note + 4, UINT32_MAX, 4, "at byte 400");
    refused(note + 4, 100, 4, "too short");
}

/* Whatever is cut or changed, it is read or refused: nothing else (the sanitizers look on). */
static void any_cut_and_any_changed_byte_is_survived(void **state)
{
    (void)state;
    uint64_t cache = made_chunk(&made, 0x290), kept = made_chunk(&made, 48), a = made_free(&made, 1024);
    made_chunk(&made, 64);
    fill_tcache(cache, 1, &kept, 1, true);
    made_put(&made, MADE_ROOT, a);
    made_end(&made);
    struct made whole = made;
    for (unsigned i = 0; i < 6000; i++) {
        struct core_error error;
        made = whole;
        if (i % 3 == 0) {
            made.bytes = i * (made.bytes / 6000);
        } else { /* the headers, notes and arena are where it matters */
            size_t at = i % 3 == 1 ? i / 3 % 1500 : 2 * MADE_PAGE + i * 7 % (2 * MADE_PAGE);
            made.file[at] ^= (unsigned char)(1u << i % 8) | (i % 5 ? 0 : 0xf0);
        }
        if (core_open_memory(&core, made.file, made.bytes, &error)) {
            assert_true(glibc_walk(&core, 0, &blocks, &report));
            assert_true(core_settle(&core));
            end(NULL);
        }
    }
}

/* -- allot's heap -- */

static void an_allot_heaps_blocks_have_their_stacks(void **state)
{
    (void)state;
    struct dead dead;
    struct core_error error = {""};
    uint32_t caller;
    uint64_t pc;
    bool loaded;
    made_allot(&made);
    made_end(&made);
    if (!dead_open_memory(&dead, made.file, made.bytes, &error)) {
        fail_msg("%s", error.line);
    }
    assert_int_equal(dead.trouble, SNAP_OK);
    assert_int_equal(dead.allot.blocks, 1);
    size_t block = graph_block_at(&dead.blocks, MADE_MAPPED);
    assert_true(block != GRAPH_NONE);
    assert_int_equal(dead.blocks.block[block].size, MADE_PAGE);
    assert_int_equal(dead.blocks.block[block].site, MADE_SITE);
    assert_true(core_site_frame(&dead.sites, MADE_SITE, &caller, &pc, &loaded));
    assert_int_equal(caller, 1);
    assert_int_equal(pc, MADE_PC + 8);
    assert_true(loaded);
    assert_true(core_site_frame(&dead.sites, 1, &caller, &pc, &loaded));
    assert_int_equal(caller, 0);
    assert_int_equal(pc, MADE_PC);
    assert_false(core_site_frame(&dead.sites, 0, &caller, &pc, &loaded));
    assert_false(core_site_frame(&dead.sites, MADE_SITE + 1, &caller, &pc, &loaded));
    dead_close(&dead);
}

/* A process that is but these records, each at the address that it has here. */
static struct {
    struct site_desc desc;
    bool kept;
    const struct sample *table[1 << SAMPLE_BITS];
    struct sample_stack stack;
    struct sample sample[5];
    const struct module *modules;
    struct module module[2];
    struct trie trie;
    struct trie_node node[2];
} world;

static void lists_that_come_round_are_read_once(void **state)
{
    (void)state;
    const uintptr_t here = (uintptr_t)&world;
    struct core_extent all = {here, here + sizeof world, (const unsigned char *)&world};
    struct image_range range = {here, here + sizeof world, &world, IMAGE_GLOBALS, 0, NULL};
    struct core of = {.extent = &all, .extents = 1, .image = {.range = &range, .ranges = 1}};
    struct core_sites sites;
    uint32_t caller;
    uint64_t pc;
    bool loaded;
    world.desc = (struct site_desc){.magic = SITE_DESC_MAGIC,
                                    .self = &world.desc,
                                    .version = 1,
                                    .bytes = sizeof world.desc,
                                    .kept = &world.kept,
                                    .samples = world.table,
                                    .stacks = &world.trie,
                                    .modules = &world.modules};
    world.stack.number = 1;
    for (unsigned i = 0; i < 5; i++) { /* 0, 1, then 2, 3, 4 and 2 again */
        world.sample[i] =
            (struct sample){.next = &world.sample[i < 4 ? i + 1 : 2], .block = &world.sample[i], .stack = &world.stack};
    }
    world.table[77] = &world.sample[0];
    world.modules = &world.module[0];
    world.module[0].next = &world.module[1];
    world.module[1].next = &world.module[0];
    world.trie.nodes = 1;
    world.trie.segment[0] = world.node;
    world.node[1] = (struct trie_node){.low = MADE_PAGE, .high = 1u << 31};
    assert_true(core_sites_begin(&sites, &of, here));
    assert_ptr_equal(sites.desc, &world.desc);
    assert_in_range(sites.samples, 5, 15);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(core_site_of(&sites, &of.image, (uintptr_t)&world.sample[i]), 1);
    }
    assert_true(core_site_frame(&sites, 1, &caller, &pc, &loaded));
    assert_int_equal(pc, MADE_PAGE);
    assert_false(loaded);
    core_sites_end(&sites);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(used_and_free_chunks_are_told_apart),
        EACH(an_allot_heaps_blocks_have_their_stacks),
        cmocka_unit_test(lists_that_come_round_are_read_once),
        EACH(an_arena_without_fast_bins_is_read),
        EACH(a_larger_tcaches_blocks_are_free),
        EACH(a_chunk_mapped_for_itself_may_end_before_a_head),
        EACH(a_chunk_mapped_for_itself_is_found_and_counted),
        EACH(an_aligned_chunk_mapped_for_itself_begins_where_malloc_said),
        EACH(what_a_tcache_keeps_is_free),
        EACH(what_a_fast_bin_keeps_is_free),
        EACH(a_ring_of_freed_chunks_ends),
        EACH(an_overwritten_head_costs_no_more_than_its_chunk),
        EACH(counts_are_found_in_the_layout_before_2_35_too),
        EACH(without_the_default_limit_the_heap_begins_at_the_lowest_address_that_leads_on),
        EACH(each_piece_of_memory_is_what_it_was),
        EACH(what_was_cut_off_is_named_by_its_addresses),
        EACH(a_heap_cut_short_is_walked_as_far_as_it_goes),
        EACH(a_file_that_contradicts_itself_gets_one_line_that_names_the_byte),
        EACH(any_cut_and_any_changed_byte_is_survived),
    };
#undef EACH
    return cmocka_run_group_tests(tests, NULL, NULL);
}
