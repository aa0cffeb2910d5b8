/* figures.c - what the heap tells under the C library's names: mallinfo, mallinfo2, malloc_info, malloc_stats, mallopt,
 * malloc_trim, and cfree, which only old programs call. The figures are true of what the program has just done.
 */
#include "block.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCKS = 10000, BLOCK = 1000 };

static void *blocks[BLOCKS];

static void take_blocks(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, BLOCK);
    }
}

static void give_blocks(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static size_t resident(void)
{
    unsigned long pages = 0, all = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void mallinfo2_counts_small_blocks(void **state)
{
    (void)state;
    size_t before = in_use();
    take_blocks();
    size_t during = in_use();
    give_blocks();
    size_t after = in_use();
    assert_in_range(during - before, (size_t)BLOCKS * BLOCK, (size_t)BLOCKS * BLOCK * 5 / 4);
    assert_true(after < before + 65536);
}

static void mallinfo2_counts_large_blocks(void **state)
{
    (void)state;
    size_t before = in_use(), size = (size_t)10 << 20;
    void *p = malloc(size);
    size_t during = in_use();
    struct mallinfo2 info = mallinfo2();
    free(p);
    assert_in_range(during - before, size, size + size / 4);
    assert_true(info.hblks >= 1);
    assert_true(info.hblkhd >= size);
    assert_true(in_use() < before + 65536);
}

static void mallinfo2_adds_up(void **state)
{
    (void)state;
    take_blocks();
    for (size_t i = 0; i < BLOCKS; i += 2) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
    struct mallinfo2 info = mallinfo2();
    assert_true(info.uordblks + info.fordblks <= info.arena + info.arena / 16);
    assert_true(info.uordblks >= (size_t)BLOCKS / 2 * BLOCK);
    assert_true(info.fordblks >= (size_t)BLOCKS / 4 * BLOCK);
    give_blocks();
}

static void mallinfo_is_mallinfo2_in_ints(void **state)
{
    (void)state;
    take_blocks();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo narrow = mallinfo();
#pragma GCC diagnostic pop
    struct mallinfo2 wide = mallinfo2();
    give_blocks();
    assert_int_equal(narrow.uordblks, (int)wide.uordblks);
    assert_int_equal(narrow.fordblks, (int)wide.fordblks);
    assert_int_equal(narrow.arena, (int)wide.arena);
    assert_int_equal(narrow.hblks, (int)wide.hblks);
    assert_int_equal(narrow.hblkhd, (int)wide.hblkhd);
}

static void malloc_trim_gives_pages_back(void **state)
{
    (void)state;
    enum { MANY = 65536 };
    void **many = mmap(NULL, MANY * sizeof *many, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(many, MAP_FAILED);
    memset(many, 0, MANY * sizeof *many);
    malloc_trim(0);
    size_t before = resident();
    for (size_t i = 0; i < MANY; i++) {
        many[i] = malloc(BLOCK);
        assert_non_null(many[i]);
        memset(many[i], 1, BLOCK);
    }
    size_t during = resident();
    for (size_t i = 0; i < MANY; i++)
        free(many[i]);
    malloc_trim(0);
    size_t after = resident();
    munmap(many, MANY * sizeof *many);
    assert_true(during >= before + (size_t)MANY * BLOCK);
    assert_true(after < before + ((size_t)4 << 20));
}

/* malloc_trim says 1 when it has given something back, 0 when there was nothing to give. */
static void malloc_trim_tells_whether_it_did(void **state)
{
    (void)state;
    malloc_trim(0);
    take_blocks();
    give_blocks();
    int first = malloc_trim(0), second = malloc_trim(0);
    assert_in_range(first, 0, 1);
    assert_int_equal(second, 0);
}

static void mallopt_takes_the_known_parameters(void **state)
{
    (void)state;
    static const int known[][2] = {{M_TRIM_THRESHOLD, 128 << 10}, {M_TOP_PAD, 64 << 10}, {M_MMAP_THRESHOLD, 128 << 10},
                                   {M_MMAP_MAX, 65536},           {M_ARENA_MAX, 8},      {M_CHECK_ACTION, 3}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_equal(mallopt(known[i][0], known[i][1]), 1);
    void *p = malloc(1000);
    assert_block(p, 1000, 16);
    free(p);
}

static void malloc_info_is_xml(void **state)
{
    (void)state;
    take_blocks();
    FILE *reader = popen("env -u LD_PRELOAD python3 -c '"
                         "import sys, xml.etree.ElementTree as tree\n"
                         "root = tree.parse(sys.stdin).getroot()\n"
                         "sys.exit(root.tag != \"malloc\" or root.find(\"heap\") is None)'",
                         "w");
    assert_non_null(reader);
    assert_int_equal(malloc_info(0, reader), 0);
    assert_int_equal(pclose(reader), 0);
    give_blocks();
}

static void malloc_info_refuses_options(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_not_equal(malloc_info(1, file), 0);
    assert_int_equal(ftell(file), 0);
    fclose(file);
}

static void malloc_stats_prints_to_stderr(void **state)
{
    (void)state;
    int kept = dup(STDERR_FILENO), file = memfd_create("stderr", 0);
    assert_true(kept >= 0 && file >= 0);
    fflush(stderr);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    malloc_stats();
    fflush(stderr);
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    char text[8192];
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    close(file);
    close(kept);
    assert_true(length > 0);
    text[length] = 0;
    assert_non_null(strpbrk(text, "0123456789"));
}

static void cfree_frees(void **state)
{
    (void)state;
    void *found = dlsym(RTLD_DEFAULT, "cfree");
    assert_non_null(found);
    void (*cfree)(void *);
    memcpy(&cfree, &found, sizeof found);
    size_t before = in_use();
    for (int i = 0; i < 1000; i++)
        cfree(malloc(5000));
    cfree(NULL);
    assert_true(in_use() < before + 65536);
    assert_true(toolkit.check());
}

int main(void)
{
    const struct CMUnitTest any_malloc[] = {
        cmocka_unit_test(mallinfo2_counts_small_blocks),
        cmocka_unit_test(mallinfo2_counts_large_blocks),
        cmocka_unit_test(mallinfo2_adds_up),
        cmocka_unit_test(mallinfo_is_mallinfo2_in_ints),
        cmocka_unit_test(malloc_trim_gives_pages_back),
        cmocka_unit_test(malloc_trim_tells_whether_it_did),
        cmocka_unit_test(mallopt_takes_the_known_parameters),
        cmocka_unit_test(malloc_info_is_xml),
        cmocka_unit_test(malloc_info_refuses_options),
        cmocka_unit_test(malloc_stats_prints_to_stderr),
    };
    const struct CMUnitTest allot[] = {
        cmocka_unit_test(cfree_frees),
    };
    bool present = toolkit_find();
    int failed = cmocka_run_group_tests(any_malloc, NULL, NULL);
    return failed ? failed : present ? cmocka_run_group_tests(allot, NULL, NULL) : 0;
}
