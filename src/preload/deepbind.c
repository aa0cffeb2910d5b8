/* preload/deepbind.c - plugins that are loaded with RTLD_DEEPBIND, as PHP loads its own: they find the C library's malloc and free
 * before the ones that stand in for these, and free with the former what everybody else had from the latter.
 *
 *   plugin --> its own scope: plugin, libc's symbols --> free of libc
 *                                      | `free` there says where everybody's free is, from the first such dlopen on
 *                                      v
 *                                     free, of whoever is first for all others
 *
 * So this dlopen stands before libc's. Where the flag is given, the entries of malloc's family in libc's table of symbols, a page or two
 * of it, are made to say what the program as a whole means by these names; all else is loaded as was asked for. Where the system
 * does not let that be written (a kernel that allows nobody to write to memory that is mapped to be read only), the flag is left
 * out instead. libc's own dlopen looks at who has called it, for its $ORIGIN: so it is jumped to, and not called.
 *
 * Nothing is done before a program asks for that flag. Not in the static drop-in, and not for a second namespace (dlmopen),
 * which has a C library and a malloc of its own. musl has no such flag.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#ifdef __GLIBC__
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bits.h"
#include "probe/elf.h"
#include "probe/object.h"

/* Older C libraries have them in another one, which whoever calls dlopen has loaded. */
#pragma weak dlsym

typedef void *open_function(const char *file, int mode);

/* Libc's, once it is known. */
__attribute__((used, visibility("hidden"))) open_function *dlopen_next;

static const char *const family[] = {
    "malloc",
    "free",
    "calloc",
    "realloc",
    "reallocarray",
    "aligned_alloc",
    "posix_memalign",
    "memalign",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
    "cfree",
    "__libc_malloc",
    "__libc_free",
    "__libc_calloc",
    "__libc_realloc",
    "__libc_memalign",
    "__libc_valloc",
    "__libc_pvalloc",
    "free_sized",
    "free_aligned_sized",
};

/* Also memory that is mapped to be read only; false when the system does not allow that. The page is this process's own then. */
static bool write_there(int memory, uintptr_t at, uintptr_t word)
{
    return *(const uintptr_t *)at == word ||
           syscall(SYS_pwrite64, memory, &word, sizeof word, (off_t)at) == sizeof word;
}

/* Each entry is one word, and always says one or the other: others may look meanwhile, or do the same. */
static bool redirect(void)
{
    struct object libc;
    struct elf elf;
    if (!object_find((uintptr_t)gnu_get_libc_version, &libc) || !elf_read(libc.head, &elf)) {
        return false;
    }
    int memory = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR | O_CLOEXEC);
    bool done = memory >= 0;
    for (size_t i = 0; done && i < sizeof family / sizeof family[0]; i++) {
        uintptr_t everybodys = (uintptr_t)dlsym(RTLD_DEFAULT, family[i]);
        size_t next = 0;
        for (uintptr_t entry; done && everybodys && (entry = elf_entry_named(&elf, family[i], &next)) != 0;) {
            done = write_there(memory, entry + offsetof(ElfW(Sym), st_value), everybodys - elf.bias);
        }
    }
    if (memory >= 0) {
        syscall(SYS_close, memory);
    }
    return done;
}

static void *none(const char *file, int mode)
{
    (void)file;
    (void)mode;
    return NULL;
}

/* Whom to go on to, and with which flags. */
struct going_on {
    open_function *next;
    uintptr_t mode;
};

__attribute__((used, visibility("hidden"))) struct going_on dlopen_prepare(int mode)
{
    int saved = errno;
    open_function *next = dlsym ? (open_function *)dlsym(RTLD_NEXT, "dlopen") : NULL;
    if (mode & RTLD_DEEPBIND && !redirect()) {
        mode &= ~RTLD_DEEPBIND;
    }
    __atomic_store_n(&dlopen_next, next, __ATOMIC_RELEASE);
    errno = saved;
    return (struct going_on){next ? next : none, (unsigned)mode};
}

_Static_assert(RTLD_DEEPBIND == 8, "as below");

#if defined(__x86_64__)
__asm__(".text\n\t.p2align 4\n\t.globl dlopen\n\t.type dlopen, @function\n"
        "dlopen:\n\t.cfi_startproc\n\t"
        "endbr64\n\t"
        "movq dlopen_next(%rip), %rax\n\t"
        "testq %rax, %rax\n\t"
        "je 1f\n\t"
        "testl $8, %esi\n\t"
        "jne 1f\n\t"
        "jmp *%rax\n"
        "1:\tpushq %rdi\n\t.cfi_adjust_cfa_offset 8\n\t"
        "subq $16, %rsp\n\t.cfi_adjust_cfa_offset 16\n\t"
        "movl %esi, %edi\n\t"
        "call dlopen_prepare\n\t"
        "addq $16, %rsp\n\t.cfi_adjust_cfa_offset -16\n\t"
        "popq %rdi\n\t.cfi_adjust_cfa_offset -8\n\t"
        "movl %edx, %esi\n\t"
        "jmp *%rax\n\t"
        ".cfi_endproc\n\t.size dlopen, .-dlopen\n");
#else
__asm__(
    ".text\n\t.p2align 4\n\t.globl dlopen\n\t.type dlopen, %function\n"
    "dlopen:\n\t.cfi_startproc\n\t"
    "hint #34\n\t" /* bti c */
    "adrp x16, dlopen_next\n\t"
    "ldr x16, [x16, :lo12:dlopen_next]\n\t"
    "cbz x16, 1f\n\t"
    "tbnz w1, #3, 1f\n\t"
    "br x16\n"
    "1:\tstp x29, x30, [sp, #-32]!\n\t.cfi_adjust_cfa_offset 32\n\t.cfi_rel_offset x29, 0\n\t.cfi_rel_offset x30, 8\n\t"
    "str x0, [sp, #16]\n\t"
    "mov w0, w1\n\t"
    "bl dlopen_prepare\n\t"
    "mov x16, x0\n\t"
    "ldr x0, [sp, #16]\n\t"
    "ldp x29, x30, [sp], #32\n\t.cfi_adjust_cfa_offset -32\n\t.cfi_restore x29\n\t.cfi_restore x30\n\t"
    "br x16\n\t"
    ".cfi_endproc\n\t.size dlopen, .-dlopen\n");
#endif
#endif
