/* What kind of program a file is, from its headers.
 *
 *     "#!" [blanks] NAME           a script: NAME is what the kernel runs, as fs/binfmt_script.c reads it
 *     Elf64_Ehdr -> Elf64_Phdr[]   the entry of type PT_INTERP -> the loader's path, ended by a zero
 *
 * Every offset and count in the file may be a lie. Each read has a fixed length and its own offset, a short one means
 * that the file is damaged, and the number of program headers is held to what the kernel accepts (64 KiB of them).
 */
#include <elf.h>
#include <endian.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#error "allot runs on x86-64 and arm64"
#endif
#define OWN_ORDER (BYTE_ORDER == LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB)

#define KERNEL_HEAD  256         /* how much of a file the kernel looks at to tell its format */
#define KERNEL_PHDRS (64 * 1024) /* how many bytes of program headers it accepts */

static bool read_at(int fd, void *to, size_t size, uint64_t offset)
{
    return offset <= INT64_MAX - size && pread(fd, to, size, (off_t)offset) == (ssize_t)size;
}

static void read_script(const char *head, size_t length, struct program *out)
{
    const char *end = head + length;
    const char *name = head + 2;

    while (name < end && (*name == ' ' || *name == '\t')) {
        name++;
    }
    const char *after = name;
    while (after < end && *after != ' ' && *after != '\t' && *after != '\n' && *after != '\0') {
        after++;
    }
    /* No name, or one that may go on past what the kernel reads: it refuses, and a shell steps in. */
    if (after == name || after == head + KERNEL_HEAD) {
        out->kind = PROGRAM_TEXT;
        return;
    }
    out->kind = PROGRAM_SCRIPT;
    memcpy(out->interpreter, name, after - name);
}

/* Finds the loader among the program headers; a file whose headers do not hold together stays unknown. */
static void read_own_elf(int fd, struct program *out)
{
    Elf64_Ehdr header;

    if (!read_at(fd, &header, sizeof header, 0) || (header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
        header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
        header.e_phnum > KERNEL_PHDRS / sizeof(Elf64_Phdr)) {
        return;
    }
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr entry;
        if (header.e_phoff > INT64_MAX / 2 || !read_at(fd, &entry, sizeof entry, header.e_phoff + i * sizeof entry)) {
            return;
        }
        if (entry.p_type != PT_INTERP) {
            continue;
        }
        if (entry.p_filesz < 2 || entry.p_filesz > sizeof out->interpreter ||
            !read_at(fd, out->interpreter, entry.p_filesz, entry.p_offset) || !out->interpreter[0] ||
            out->interpreter[entry.p_filesz - 1] != '\0') {
            out->interpreter[0] = '\0';
            return;
        }
        out->kind = PROGRAM_DYNAMIC;
        return;
    }
    out->kind = PROGRAM_STATIC;
}

static void read_elf(int fd, const unsigned char *head, size_t length, struct program *out)
{
    /* Up to e_machine both classes look alike. */
    if (length < sizeof(Elf32_Ehdr) || (head[EI_CLASS] != ELFCLASS32 && head[EI_CLASS] != ELFCLASS64) ||
        (head[EI_DATA] != ELFDATA2LSB && head[EI_DATA] != ELFDATA2MSB)) {
        return;
    }
    const unsigned char *machine = head + offsetof(Elf32_Ehdr, e_machine);
    unsigned first = machine[0], second = machine[1];
    out->machine = head[EI_DATA] == ELFDATA2LSB ? first | second << 8 : second | first << 8;
    out->bits = head[EI_CLASS] == ELFCLASS32 ? 32 : 64;
    if (out->bits != 64 || head[EI_DATA] != OWN_ORDER || out->machine != OWN_MACHINE) {
        out->kind = PROGRAM_FOREIGN;
    } else {
        read_own_elf(fd, out);
    }
}

void program_read(const char *path, struct program *out)
{
    char head[KERNEL_HEAD];

    memset(out, 0, sizeof *out);
    /* O_NONBLOCK: a named pipe that happens to be executable must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return;
    }
    ssize_t length = pread(fd, head, sizeof head, 0);
    if (length >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0) {
        read_elf(fd, (unsigned char *)head, length, out);
    } else if (length >= 2 && memcmp(head, "#!", 2) == 0) {
        read_script(head, length, out);
    } else if (length >= 0) {
        const char *line = memchr(head, '\n', length);
        if (!memchr(head, '\0', line ? (size_t)(line - head) : (size_t)length)) {
            out->kind = PROGRAM_TEXT;
        }
    }
    close(fd);
}
