/* made.c - a core file made by hand; see made.h. */
#include <assert.h>
#include <elf.h>
#include <string.h>

#include "made.h"

/* Pages of the file: headers and notes; libc's header; its globals; heap; heap; mapped; stack; and two nobody names. */
enum { AT_LIBC = 1, AT_GLOBAL = 2, AT_HEAP = 3, AT_MAPPED = 5, AT_STACK = 6, PAGES = 7, SEGMENTS = 5 };
enum { REGISTERS = 27, STATUS_BYTES = 336, ARENA_TOP = 96, ARENA_BINS = 112, ARENA_NEXT = 2160, ARENA_SYSTEM = 2184 };

static const struct {
    uint64_t address, pages;
    unsigned page, flags;
} segments[SEGMENTS] = {
    {MADE_HEAP, 2, AT_HEAP, PF_R | PF_W},     {MADE_MAPPED, 1, AT_MAPPED, PF_R | PF_W}, {MADE_LIBC, 1, AT_LIBC, PF_R},
    {MADE_GLOBAL, 1, AT_GLOBAL, PF_R | PF_W}, {MADE_STACK, 1, AT_STACK, PF_R | PF_W},
};

static unsigned char *at(const struct made *made, uint64_t address)
{
    for (unsigned i = 0; i < SEGMENTS; i++) {
        if (address >= segments[i].address && address < segments[i].address + segments[i].pages * MADE_PAGE) {
            return (unsigned char *)made->file + segments[i].page * MADE_PAGE + (address - segments[i].address);
        }
    }
    assert(!"an address that the made core has");
    return NULL;
}

void made_put(struct made *made, uint64_t address, uint64_t word) { memcpy(at(made, address), &word, sizeof word); }

uint64_t made_get(const struct made *made, uint64_t address)
{
    uint64_t word;
    memcpy(&word, at(made, address), sizeof word);
    return word;
}

static unsigned char *put_note(unsigned char *to, uint32_t type, const void *text, uint32_t bytes)
{
    Elf64_Nhdr head = {5, bytes, type};
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, "CORE\0\0\0", 8);
    memcpy(to + sizeof head + 8, text, bytes);
    return to + sizeof head + 8 + ((bytes + 3) & ~3u);
}

static unsigned char *put_notes(unsigned char *to)
{
    unsigned char status[STATUS_BYTES] = {0}, process[136] = {0};
    uint32_t tid = MADE_TID;
    uint64_t sp = MADE_SP;
    memcpy(status + 32, &tid, sizeof tid);
    memcpy(status + 112 + 8 * 19, &sp, sizeof sp);
    memcpy(process + 24, &tid, sizeof tid);
    to = put_note(to, NT_PRSTATUS, status, sizeof status);
    to = put_note(to, NT_PRPSINFO, process, sizeof process);

    struct {
        uint64_t count, page, from[2], offset, from_2[2], offset_2;
        char names[64];
    } files = {
        2, MADE_PAGE, {MADE_LIBC, MADE_GLOBAL}, 0, {MADE_GLOBAL, MADE_GLOBAL + MADE_PAGE}, 1, "/nonexistent/libc.so.6"};
    memcpy(files.names + 23, "/nonexistent/libc.so.6", 23);
    to = put_note(to, NT_FILE, &files, sizeof files);
    uint64_t auxv[] = {AT_PAGESZ, MADE_PAGE, AT_RANDOM, MADE_STACK + 0xf00, AT_NULL, 0};
    return put_note(to, NT_AUXV, auxv, sizeof auxv);
}

static void put_headers(struct made *made)
{
    Elf64_Ehdr e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_CORE,
                    .e_machine = EM_X86_64,
                    .e_version = 1,
                    .e_phoff = sizeof e,
                    .e_ehsize = sizeof e,
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = SEGMENTS + 1};
    Elf64_Phdr p[SEGMENTS + 1] = {{.p_type = PT_NOTE, .p_offset = sizeof e + sizeof p}};
    p[0].p_filesz = (uint64_t)(put_notes(made->file + p[0].p_offset) - made->file) - p[0].p_offset;
    for (unsigned i = 0; i < SEGMENTS; i++) {
        uint64_t bytes = segments[i].pages * MADE_PAGE;
        p[i + 1] = (Elf64_Phdr){PT_LOAD, segments[i].flags, segments[i].page * MADE_PAGE, segments[i].address, 0, bytes,
                                bytes,   MADE_PAGE};
    }
    memcpy(made->file, &e, sizeof e);
    memcpy(made->file + sizeof e, p, sizeof p);
}

static void put_libc(struct made *made)
{
    Elf64_Ehdr e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_DYN,
                    .e_machine = EM_X86_64,
                    .e_version = 1,
                    .e_phoff = sizeof e,
                    .e_ehsize = sizeof e,
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = 2};
    Elf64_Phdr p[2] = {{.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = MADE_PAGE, .p_memsz = MADE_PAGE},
                       {.p_type = PT_LOAD,
                        .p_flags = PF_R | PF_W,
                        .p_offset = MADE_PAGE,
                        .p_vaddr = MADE_PAGE,
                        .p_filesz = MADE_PAGE,
                        .p_memsz = MADE_PAGE}};
    memcpy(made->file + AT_LIBC * MADE_PAGE, &e, sizeof e);
    memcpy(made->file + AT_LIBC * MADE_PAGE + sizeof e, p, sizeof p);
}

void made_begin(struct made *made)
{
    memset(made, 0, sizeof *made);
    made->bytes = PAGES * MADE_PAGE;
    made->end = MADE_HEAP;
    put_headers(made);
    put_libc(made);
    for (unsigned bin = 0; bin < 127; bin++) {
        uint64_t links = MADE_ARENA + ARENA_BINS + 16 * bin;
        made_put(made, links, links - 16);
        made_put(made, links + 8, links - 16);
    }
    made_put(made, MADE_ARENA + ARENA_NEXT, MADE_ARENA);
    made_put(made, MADE_ARENA + ARENA_SYSTEM, MADE_HEAP_BYTES);
    made_put(made, MADE_BASE, MADE_HEAP);
    made_put(made, MADE_BASE - 16, MADE_PAGE);
    made_put(made, MADE_BASE - 8, MADE_PAGE);
    made_put(made, MADE_BASE - 40, 1ull << 32); /* hp_flags, how many are mapped */
    made_put(made, MADE_BASE - 32, 65536);      /* at most so many */
    made_put(made, MADE_MAPPED + 8, MADE_PAGE | 2);
    made_put(made, MADE_HEAP + 8, 1);
}

static uint64_t chunk(struct made *made, uint64_t bytes, unsigned used)
{
    uint64_t at = made->end, flags = made_get(made, at + 8) & 1;
    assert(at + bytes + 32 <= MADE_HEAP + MADE_HEAP_BYTES);
    made_put(made, at + 8, bytes | flags);
    made->end += bytes;
    made_put(made, made->end + 8, used);
    if (!used) {
        made_put(made, made->end, bytes);
    }
    return at + 16;
}

uint64_t made_chunk(struct made *made, uint64_t bytes) { return chunk(made, bytes, 1); }
uint64_t made_free(struct made *made, uint64_t bytes) { return chunk(made, bytes, 0); }

void made_end(struct made *made)
{
    made_put(made, MADE_ARENA + ARENA_TOP, made->end);
    made_put(made, made->end + 8, made_get(made, made->end + 8) | (MADE_HEAP + MADE_HEAP_BYTES - made->end));
}
