/* unit/share.c - the control page: it says what allot_stats says, whole while threads work; whose it is after a fork; and that
 * nothing that stands in its way harms the program.
 */
#include "common/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/tag.h>

#include "common/child.h"
#include "control.h"
#include "probe/control.h"

static void turn_on(void) { assert_int_equal(allot_option("share", "on"), 0); }

static void turn_off(void) { assert_int_equal(allot_option("share", "off"), 0); }

static int open_own(void) { return control_open(getpid()); }

/* Asks without waiting, as this thread is the one to answer. */
static void ask(int fd)
{
    uint64_t asked;
    off_t at = offsetof(struct allot_control, asked);
    assert_int_equal(pread(fd, &asked, sizeof asked, at), sizeof asked);
    asked++;
    assert_int_equal(pwrite(fd, &asked, sizeof asked, at), sizeof asked);
}

static struct allot_control page;

/* A survey reads what others are changing (heap/stats.c), which ThreadSanitizer must not see. */
#if defined __clang__
static const bool may_survey = !__has_feature(thread_sanitizer);
#elif defined __SANITIZE_THREAD__
static const bool may_survey = false;
#else
static const bool may_survey = true;
#endif

static void read_page(int fd) { assert_int_equal(control_read(fd, &page), 0); }

static void answer_and_read(int fd)
{
    void *p = allot_malloc(100000);
    ask(fd);
    allot_free(p);
    read_page(fd);
    assert_int_equal(page.answered, page.asked);
}

static void the_page_says_what_stats_say(void **state)
{
    (void)state;
    static struct allot_class_stats classes[ALLOT_CONTROL_CLASSES];
    static struct allot_heap_stats heaps[ALLOT_CONTROL_HEAPS];
    struct allot_tag_stats tag;
    struct allot_stats all;
    void *kept[500], *large = allot_malloc(5 * MIB), *run = allot_malloc(70000);
    for (size_t i = 0; i < 500; i++) {
        kept[i] = allot_malloc(i * 20);
    }
    struct allot_tag *tenant = allot_tag("tenant", 1000), *before = allot_tag_enter(tenant);
    void *tagged = allot_malloc(500);
    assert_null(allot_malloc(600));
    allot_tag_enter(before);
    assert_int_equal(allot_option("limit", "4G"), 0);
    turn_on();
    int fd = open_own();
    assert_true(fd >= 0);
    answer_and_read(fd);
    allot_stats(&all);

    const struct allot_control_now *now = &page.now;
    const struct allot_control_tables *t = &page.tables;
    assert_int_equal(page.pid, getpid());
    assert_int_equal(now->peak, all.peak);
    assert_int_equal(now->held, all.held);
    assert_int_equal(now->kept_slabs + now->kept_runs + now->kept_large, all.kept);
    assert_int_equal(now->given_back, all.given_back);
    assert_int_equal(now->mapped, all.mapped);
    assert_int_equal(now->segments, all.segments);
    assert_int_equal(now->threads, all.threads);
    assert_int_equal(now->limit, (uint64_t)4 << 30);
    assert_in_range(now->live, all.live, all.live + 8 * 65536);
    assert_int_equal(t->live, all.live);
    assert_int_equal(t->blocks, all.blocks);
    assert_int_equal(t->runs, all.runs);
    assert_int_equal(t->run_blocks, all.run_blocks);
    assert_int_equal(t->large, all.large);
    assert_int_equal(t->large_blocks, all.large_blocks);
    assert_int_equal(t->metadata, all.metadata);

    assert_int_equal(t->classes, allot_stats_classes(classes, ALLOT_CONTROL_CLASSES));
    for (size_t i = 0; i < t->classes; i++) {
        const struct allot_control_class *c = &t->of_class[i];
        assert_true(c->size == classes[i].size && c->blocks == classes[i].blocks && c->free == classes[i].free &&
                    c->slabs == classes[i].slabs);
    }
    assert_int_equal(t->heaps, allot_stats_heaps(heaps, ALLOT_CONTROL_HEAPS));
    for (size_t i = 0; i < t->heaps; i++) {
        const struct allot_control_heap *h = &t->of_heap[i];
        assert_true(h->id == heaps[i].id && h->tid == heaps[i].tid && h->kind == heaps[i].kind &&
                    h->live == heaps[i].live && h->held == heaps[i].held && h->slabs == heaps[i].slabs);
    }
    assert_int_equal(t->tags, allot_stats_tags(&tag, 1));
    assert_string_equal(t->of_tag[0].name, "tenant");
    assert_true(t->of_tag[0].used == tag.used && t->of_tag[0].limit == 1000 && t->of_tag[0].refused == 1);

    /* What is current is so without being asked. */
    void *more = allot_malloc(9 * MIB);
    uint64_t live = now->live;
    read_page(fd);
    assert_int_equal(now->live, live + 9 * MIB);
    allot_free(more);
    read_page(fd);
    assert_int_equal(now->live, live);
    close(fd);
    allot_free(tagged);
    allot_free(large);
    allot_free(run);
    for (size_t i = 0; i < 500; i++) {
        allot_free(kept[i]);
    }
    assert_int_equal(allot_option("limit", "none"), 0);
    turn_off();
    allot_check();
}

/* More heaps and tags than there is room for: those that hold most are there, and how many there are. */
static void of_many_the_largest(void **state)
{
    (void)state;
    enum { MANY = 200 };
    static void *kept[MANY];
    char name[16];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "many %zu", i);
        struct allot_tag *before = allot_tag_enter(allot_tag(name, SIZE_MAX));
        kept[i] = allot_malloc(50000 + (i + 77) % MANY * 4096);
        allot_tag_enter(before);
    }
    turn_on();
    int fd = open_own();
    answer_and_read(fd);
    assert_in_range(page.tables.tags, MANY, MANY + 10);
    size_t seen = 0;
    for (size_t i = 0; i < ALLOT_CONTROL_TAGS; i++) {
        assert_true(page.tables.of_tag[i].used >= 50000 + (MANY - ALLOT_CONTROL_TAGS) * (size_t)4096);
        seen += strncmp(page.tables.of_tag[i].name, "many ", 5) == 0;
    }
    assert_int_equal(seen, ALLOT_CONTROL_TAGS);
    close(fd);
    for (size_t i = 0; i < MANY; i++) {
        allot_free(kept[i]);
    }
    turn_off();

    struct allot_heap_stats two[2], all[50];
    size_t n = allot_stats_heaps(all, 50), larger = 0;
    assert_in_range(n, 2, 50);
    assert_int_equal(allot_stats_heaps(two, 2), n);
    size_t least = two[0].held < two[1].held ? two[0].held : two[1].held;
    for (size_t i = 0; i < n; i++) {
        larger += all[i].held > least;
    }
    assert_in_range(larger, 0, 1);
}

/* -- kinds of heaps -- */

static size_t heaps_of(enum allot_heap_kind kind, int *tid)
{
    static struct allot_heap_stats heap[50];
    size_t n = allot_stats_heaps(heap, 50), found = 0;
    assert_in_range(n, 1, 50);
    for (size_t i = 0; i < n; i++) {
        if (heap[i].kind == kind) {
            found++;
            *tid = heap[i].tid;
        }
    }
    return found;
}

static void *free_all_of(void *arg)
{
    void **block = arg;
    for (size_t i = 0; i < 100; i++) {
        allot_free(block[i]);
    }
    return NULL;
}

static void *leave_blocks(void *arg)
{
    void **block = arg;
    for (size_t i = 0; i < 100; i++) {
        block[i] = allot_malloc(1000);
    }
    return NULL;
}

/* The child of a fork, to which the other thread has not come along. */
static void look_for_lost(void *arg)
{
    int tid = -1;
    (void)arg;
    if (heaps_of(ALLOT_HEAP_LOST, &tid) == 0 || tid != 0) {
        _exit(1);
    }
}

static pthread_barrier_t step;

static void *have_a_heap(void *arg)
{
    leave_blocks(arg);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return free_all_of(arg);
}

static void heaps_say_what_they_are(void **state)
{
    (void)state;
    int tid = 0;
    void *block[100], *others[100];
    struct allot_heap private;
    pthread_t thread;
    assert_int_equal(allot_heap_init(&private, NULL), 0);
    assert_non_null(allot_heap_alloc(&private, 100));
    struct allot_tag *before = allot_tag_enter(allot_tag("tenant", SIZE_MAX));
    void *tagged = allot_malloc(100), *own = allot_malloc(100);
    allot_tag_enter(before);
    assert_int_equal(pthread_create(&thread, NULL, leave_blocks, block), 0);
    pthread_join(thread, NULL);

    assert_int_equal(heaps_of(ALLOT_HEAP_PRIVATE, &tid), 1);
    assert_int_equal(tid, 0);
    assert_int_equal(heaps_of(ALLOT_HEAP_WAITING, &tid), 1);
    assert_int_equal(tid, 0);
    assert_int_equal(heaps_of(ALLOT_HEAP_TAGGED, &tid), 1);
    assert_int_equal(tid, gettid());
    assert_int_equal(heaps_of(ALLOT_HEAP_LOST, &tid), 0);

    pthread_barrier_init(&step, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, have_a_heap, others), 0);
    pthread_barrier_wait(&step);
    assert_in_range(heaps_of(ALLOT_HEAP_THREAD, &tid), 1, 2);
    assert_int_equal(child_run(look_for_lost, NULL).status, 0);
    pthread_barrier_wait(&step);
    pthread_join(thread, NULL);
    free_all_of(block);
    allot_free(tagged);
    allot_free(own);
    allot_heap_done(&private);
}

static _Atomic bool stop;

static void *work(void *arg)
{
    enum { BLOCKS = 400 };
    void *block[BLOCKS] = {0};
    unsigned random = (unsigned)(uintptr_t)arg;
    while (!stop) {
        random = random * 1664525 + 1013904223;
        unsigned i = (random >> 20) % BLOCKS;
        allot_free(block[i]);
        block[i] = allot_malloc((random >> 8) % 3000);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        allot_free(block[i]);
    }
    return NULL;
}

static void tables_are_whole(void **state)
{
    (void)state;
    enum { READS = 300 };
    pthread_t thread[2];
    stop = false;
    turn_on();
    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, work, (void *)(i + 1)), 0);
    }
    int fd = open_own(), fresh = 0;
    for (int i = 0; i < READS; i++) {
        bool answered = true;
        assert_int_equal(may_survey ? control_ask_and_read(fd, &page, &answered) : control_read(fd, &page), 0);
        assert_in_range(page.now.threads, 1, 3);
        fresh += answered;
        const struct allot_control_tables *t = &page.tables;
        uint64_t blocks = t->run_blocks + t->large_blocks, slabs = 0;
        for (size_t c = 0; c < t->classes; c++) {
            blocks += t->of_class[c].blocks;
            slabs += t->of_class[c].slabs;
        }
        for (size_t h = 0; h < t->heaps; h++) {
            assert_int_equal(t->of_heap[h].held, t->of_heap[h].slabs * 65536);
            slabs -= t->of_heap[h].slabs;
        }
        assert_int_equal(blocks, t->blocks);
        assert_int_equal(slabs, 0);
    }
    assert_true(fresh > 0);
    stop = true;
    pthread_join(thread[0], NULL);
    pthread_join(thread[1], NULL);
    close(fd);
    turn_off();
    allot_check();
}

/* A thread that only frees what others have made answers as well. */
static void who_only_frees_answers(void **state)
{
    (void)state;
    void *block[100];
    pthread_t thread;
    leave_blocks(block);
    turn_on();
    int fd = open_own();
    ask(fd);
    assert_int_equal(pthread_create(&thread, NULL, free_all_of, block), 0);
    pthread_join(thread, NULL);
    read_page(fd);
    assert_int_equal(page.answered, page.asked);
    assert_int_not_equal(page.tables_at, 0);
    close(fd);
    turn_off();
}

/* A thread that must not be kept waiting leaves the answer to others. */
static void in_haste_nobody_answers(void **state)
{
    (void)state;
    turn_on();
    int fd = open_own();
    allot_thread_latency(true);
    ask(fd);
    allot_free(allot_malloc(100000));
    read_page(fd);
    assert_int_not_equal(page.answered, page.asked);
    allot_thread_latency(false);
    allot_free(allot_malloc(100000));
    read_page(fd);
    assert_int_equal(page.answered, page.asked);
    close(fd);
    turn_off();
}

static void off_and_on(void **state)
{
    (void)state;
    assert_int_equal(open_own(), -ENOENT);
    for (int i = 0; i < 3; i++) {
        turn_on();
        turn_on();
        int fd = open_own();
        answer_and_read(fd);
        assert_int_equal(page.asked, 1);
        close(fd);
        turn_off();
        assert_int_equal(open_own(), -ENOENT);
    }
    struct allot_stats before, after;
    allot_stats(&before);
    turn_on();
    turn_off();
    allot_stats(&after);
    assert_int_equal(after.mapped, before.mapped);
}

/* -- forks -- */

/* Allocates much, and is asked; returns 0 when its page is its own and says so. */
static int as_child(void)
{
    allot_free(allot_malloc(100000));
    int fd = open_own();
    void *p = allot_malloc(64 * MIB);
    if (fd < 0 || control_read(fd, &page) != 0 || page.pid != getpid() || page.now.live < 64 * MIB || page.asked != 0) {
        return 1;
    }
    ask(fd);
    allot_free(p);
    return control_read(fd, &page) != 0 || page.answered != 1 || page.tables_at == 0 || page.now.live >= 64 * MIB;
}

static int status_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_child_has_its_own(void **state)
{
    (void)state;
    turn_on();
    int fd = open_own();
    answer_and_read(fd);
    struct allot_control before = page;
    for (int raw = 0; raw < 2; raw++) {
        pid_t pid = raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
        if (pid == 0) {
            _exit(as_child());
        }
        assert_int_equal(status_of(pid), 0);
    }
    read_page(fd);
    assert_int_equal(memcmp(&page, &before, sizeof page), 0);
    answer_and_read(fd);
    assert_int_equal(page.asked, before.asked + 1);
    close(fd);
    turn_off();
}

/* Neither a child that has done nothing yet nor one that runs another program is taken for its parent. */
static void a_child_is_not_its_parent(void **state)
{
    (void)state;
    turn_on();
    for (int raw = 0; raw < 2; raw++) {
        pid_t pid = raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
        if (pid == 0) {
            pause();
            _exit(0);
        }
        assert_int_equal(control_open(pid), -ENOENT);
        kill(pid, SIGKILL);
        assert_int_equal(status_of(pid), SIGKILL);
        assert_int_equal(control_open(pid), -ESRCH);
    }
    int fd = open_own();
    answer_and_read(fd);
    struct allot_control before = page;
    pid_t pid;
    char *argv[] = {(char *)"true", NULL}, *environment[] = {NULL};
    assert_int_equal(posix_spawnp(&pid, "true", NULL, NULL, argv, environment), 0);
    assert_int_equal(status_of(pid), 0);
    read_page(fd);
    assert_int_equal(memcmp(&page, &before, sizeof page), 0);
    close(fd);
    turn_off();
}

/* -- what stands in the way -- */

static void nobody_can_cut_it_off(void **state)
{
    (void)state;
    turn_on();
    int fd = open_own();
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(errno, EPERM);
    struct stat file;
    assert_int_equal(fstat(fd, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    /* A hole in it is zero, and the program goes on. */
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, ALLOT_CONTROL_SIZE);
    allot_free(allot_malloc(5 * MIB));
    close(fd);
    turn_off();
}

/* A program that closes all descriptors is found again once it has allocated some more. */
static void found_again(void *arg)
{
    (void)arg;
    turn_on();
    syscall(SYS_close_range, 3, ~0u, 0);
    if (open_own() != -ENOENT) {
        _exit(1);
    }
    void *p = allot_malloc(8 * MIB);
    allot_free(p);
    int fd = open_own();
    if (fd < 0 || control_read(fd, &page) != 0 || page.now.live >= 8 * MIB) {
        _exit(2);
    }
    close(fd);
    /* What has its number by now is not closed for it. */
    int other = memfd_create("other", 0);
    fd = open_own();
    for (int number = 100; number < 110; number++) {
        dup2(other, number);
    }
    turn_off();
    for (int number = 100; number < 110; number++) {
        struct stat file;
        if (fstat(number, &file) != 0) {
            _exit(3);
        }
    }
}

static void goes_on(void)
{
    if (control_on() || open_own() >= 0) {
        _exit(1);
    }
    for (size_t i = 0; i < 100; i++) {
        allot_free(allot_malloc(i * 10000));
    }
    allot_check();
}

static void no_long_files(void *arg)
{
    (void)arg;
    struct rlimit limit = {4096, 4096};
    setrlimit(RLIMIT_FSIZE, &limit);
    turn_on();
    goes_on();
}

static void no_descriptors(void *arg)
{
    (void)arg;
    struct rlimit limit = {3, 3};
    setrlimit(RLIMIT_NOFILE, &limit);
    turn_on();
    if (control_on()) {
        _exit(1);
    }
}

static void no_memory(void *arg)
{
    (void)arg;
    for (long had = 0; had < 2; had++) {
        allot_fail_after(had);
        turn_on();
        allot_fail_after(-1);
        goes_on();
    }
    turn_on();
    if (!control_on() || open_own() < 0) {
        _exit(2);
    }
}

/* Without /proc nothing can be known of filters, and without /dev/shm there is no place for what is then made. */
static void no_folders(void *arg)
{
    if (chroot(arg) != 0) {
        fprintf(stderr, "not allowed");
        return;
    }
    turn_on();
    if (control_on()) {
        _exit(1);
    }
}

/* A filter that ends the process for memfd_create. */
static void set_filter(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        fprintf(stderr, "not allowed");
        _exit(0);
    }
}

static void under_a_filter(void *arg)
{
    (void)arg;
    if (access("/dev/shm", W_OK) != 0) { /* where the page would be */
        fprintf(stderr, "not allowed");
        _exit(0);
    }
    set_filter();
    turn_on();
    pid_t pid = fork();
    if (pid == 0) {
        _exit(as_child());
    }
    int status;
    _exit(as_child() || waitpid(pid, &status, 0) != pid || status != 0);
}

/* A child under more filters than there were makes no page. */
static void a_filter_set_later(void *arg)
{
    (void)arg;
    turn_on();
    set_filter();
    pid_t pid = fork();
    if (pid == 0) {
        allot_free(allot_malloc(5 * MIB));
        goes_on();
        _exit(0);
    }
    int status, fd = open_own();
    _exit(waitpid(pid, &status, 0) != pid || status != 0 || fd < 0);
}

static void nothing_harms_the_program(void **state)
{
    (void)state;
    char folder[] = "/tmp/allot-share-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const struct {
        void (*code)(void *);
        const char *says;
    } cases[] = {
        {found_again, ""},
        {no_long_files,
         "allot: share=on: the limit on the size of files is too low (ulimit -f) (error 27); the statistics "
         "are not shared, and the program goes on\n"},
        {no_descriptors,
         "allot: share=on: too many files are open (ulimit -n) (error 24); the statistics are not shared, "
         "and the program goes on\n"},
        {no_memory,
         "allot: share=on: memory is out (error 12); the statistics are not shared, and the program goes on\n"
         "allot: share=on: memory is out (error 12); the statistics are not shared, and the program goes on\n"},
        {no_folders, "allot: share=on: there is no /dev/shm (error 2); the statistics are not shared, and the program "
                     "goes on\n"},
        {under_a_filter, ""},
        {a_filter_set_later, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct child_end end = child_run(cases[i].code, folder);
        assert_int_equal(end.status, 0);
        if (strcmp(end.text, "not allowed") != 0) {
            assert_string_equal(end.text, cases[i].says);
        }
    }
    rmdir(folder);
}

static void wrong_values(void **state)
{
    (void)state;
    int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    static const char *const wrong[] = {"", "yes", "On", "on ", "1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(allot_option("share", wrong[i]), -EINVAL);
    }
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(null);
    assert_false(control_on());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_harms_the_program), /* first: in a process that has never shared */
        cmocka_unit_test(the_page_says_what_stats_say),
        cmocka_unit_test(of_many_the_largest),
        cmocka_unit_test(heaps_say_what_they_are),
        cmocka_unit_test(tables_are_whole),
        cmocka_unit_test(who_only_frees_answers),
        cmocka_unit_test(in_haste_nobody_answers),
        cmocka_unit_test(off_and_on),
        cmocka_unit_test(a_child_has_its_own),
        cmocka_unit_test(a_child_is_not_its_parent),
        cmocka_unit_test(nobody_can_cut_it_off),
        cmocka_unit_test(wrong_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
