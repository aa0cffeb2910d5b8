/* banks.c - a machine whose program and data do not fit its address space: banks of ROM and RAM take turns in two windows.
 *
 *     0000  fixed ROM      main: selects banks and calls what is in them
 *     1000  ROM window     bank 0: the sieve of Eratosthenes   1: Fibonacci's numbers, 12 decimal digits   2: printing
 *     2000  RAM window     bank 0: the sieve                   1: two numbers, a digit a byte
 *     3000  fixed RAM      variables
 *
 * Each bank is a segment of an overlay. What lives together is no tree - any ROM bank with any RAM bank, but no two of a kind - so
 * it is said by exclusions. Selecting a bank leaves one segment and enters another: a RAM bank that goes is kept, a ROM bank is
 * not, as it is constant. The layout comes out at 16 KiB, which is what the windows take together, for 28 KiB of banks.
 *
 * Usage: banks         prints each prime below 256 and the Fibonacci number of the same rank; on standard error, what it took
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <allot/overlay.h>

/* -- the program ------------------------------------------------------------------------------------------------ */

static const char source[] = "= prime 3000 = count 3001 = i 3002 = carry 3003 = t 3004 = u 3005 \n"

                             "segment 0 0000 \n"
                             "        rom 0 ram 0 call clear \n"
                             "        rom 1 ram 1 call first \n"
                             "main:   rom 0 ram 0 call sieve    ld prime jz over \n"
                             "        rom 2 call print_prime \n"
                             "        rom 1 ram 1 call add_up \n"
                             "        rom 2 call print_number   jmp main \n"
                             "over:   halt \n"

                             "segment 1 1000 \n" /* a byte each for 0 to 255; 1: not prime */
                             "clear:  hl 2000 ldi 0 st count \n"
                             "c1:     ldi 0 sth inch ld count addi 1 st count jnz c1 \n"
                             "        ldi 1 st prime ret \n"
                             "sieve:  ld prime addi 1 st prime jz s3 \n"
                             "        hl 2000 addhl ldh jnz sieve \n"
                             "        ld prime st count \n"
                             "s2:     ld count add prime jc s3 st count hl 2000 addhl ldi 1 sth jmp s2 \n"
                             "s3:     ret \n"

                             "segment 2 1000 \n" /* at 2000 this number, at 2010 the next one, the lowest digit first */
                             "first:  hl 2010 ldi 1 sth ret \n"
                             "add_up: ldi 0 st i st carry \n"
                             "a1:     hl 2000 ld i addhl ldh st t \n"
                             "        hl 2010 ld i addhl ldh st u \n"
                             "        hl 2000 ld i addhl ld u sth \n"
                             "        ld t add u add carry st t   ldi 0 st carry \n"
                             "        ld t cmpi a jnc a2   subi a st t   ldi 1 st carry \n"
                             "a2:     hl 2010 ld i addhl ld t sth \n"
                             "        ld i addi 1 st i cmpi c jnz a1 ret \n"

                             "segment 3 1000 \n"
                             "print_prime: ld prime st t ldi 30 st u \n"
                             "p1:     ld t cmpi 64 jnc p2 subi 64 st t   ld u addi 1 st u jmp p1 \n"
                             "p2:     ld u out ldi 30 st u \n"
                             "p3:     ld t cmpi a jnc p4 subi a st t   ld u addi 1 st u jmp p3 \n"
                             "p4:     ld u out ld t addi 30 out ldi 20 out ret \n"
                             "print_number: ldi c st i \n"
                             "q1:     ld i subi 1 st i hl 2000 addhl ldh addi 30 out   ld i jnz q1 \n"
                             "        ldi a out ret \n";

/* -- the machine ------------------------------------------------------------------------------------------------ */

enum {
    BANK = 4096,
    WINDOWS = 4,
    FIXED_ROM = 0,
    ROM = 1,
    ROMS = 3,
    RAM = ROM + ROMS,
    RAMS = 2,
    FIXED_RAM = RAM + RAMS,
    SEGMENTS
};

static uint8_t rom_image[1 + ROMS][BANK], ram_image[RAMS][BANK];

enum op {
    HALT,
    LDI,
    LD,
    ST,
    ADDI,
    ADD,
    SUBI,
    CMPI,
    HL,
    LDH,
    STH,
    ADDHL,
    INCH,
    JMP,
    JZ,
    JNZ,
    JC,
    JNC,
    CALL,
    RET,
    OUT,
    SET_ROM,
    SET_RAM,
    OPS
};

static const struct {
    const char *name;
    int operand; /* bytes */
} ops[OPS] = {{"halt", 0}, {"ldi", 1}, {"ld", 2},   {"st", 2},    {"addi", 1}, {"add", 2}, {"subi", 1}, {"cmpi", 1},
              {"hl", 2},   {"ldh", 0}, {"sth", 0},  {"addhl", 0}, {"inch", 0}, {"jmp", 2}, {"jz", 2},   {"jnz", 2},
              {"jc", 2},   {"jnc", 2}, {"call", 2}, {"ret", 0},   {"out", 0},  {"rom", 1}, {"ram", 1}};

struct machine {
    struct allot_overlay overlay;
    uint8_t *window[WINDOWS];
    unsigned rom, ram; /* the segments in the windows */
    uint8_t a;
    bool zero, carry;
    uint16_t pc, hl, stack[16];
    unsigned depth;
    unsigned long switches;
};

static void *enter(struct machine *m, unsigned seg)
{
    void *p = allot_overlay_enter(&m->overlay, seg);
    if (!p) {
        perror("banks: enter");
        exit(1);
    }
    return p;
}

/* Puts `seg` into a window in place of `*was`. */
static void select_bank(struct machine *m, int window, unsigned *was, unsigned seg)
{
    allot_overlay_leave(&m->overlay, *was);
    m->window[window] = enter(m, seg);
    *was = seg;
    m->switches++;
}

static void machine_init(struct machine *m)
{
    static const unsigned roms[] = {ROM, ROM + 1, ROM + 2}, rams[] = {RAM, RAM + 1};
    struct allot_overlay_seg *segs = calloc(SEGMENTS, sizeof *segs);
    segs[FIXED_ROM] =
        (struct allot_overlay_seg){.name = "fixed ROM", .size = BANK, .image = rom_image[0], .constant = true};
    for (unsigned i = 0; i < ROMS; i++) {
        segs[ROM + i] = (struct allot_overlay_seg){.name = "ROM bank",
                                                   .size = BANK,
                                                   .image = rom_image[1 + i],
                                                   .constant = true,
                                                   .excludes = roms,
                                                   .excludes_count = i};
    }
    for (unsigned i = 0; i < RAMS; i++) {
        segs[RAM + i] = (struct allot_overlay_seg){
            .name = "RAM bank", .size = BANK, .image = ram_image[i], .excludes = rams, .excludes_count = i};
    }
    segs[FIXED_RAM] = (struct allot_overlay_seg){.name = "fixed RAM", .size = BANK};
    *m = (struct machine){.rom = ROM, .ram = RAM};
    if (allot_overlay_init(&m->overlay, NULL, 0, segs, SEGMENTS, &(struct allot_overlay_opts){.excludes = true}) != 0) {
        fputs("banks: no overlay\n", stderr);
        exit(1);
    }
    static const unsigned at_first[WINDOWS] = {FIXED_ROM, ROM, RAM, FIXED_RAM};
    for (int w = 0; w < WINDOWS; w++) {
        m->window[w] = enter(m, at_first[w]);
    }
}

static uint8_t *memory(struct machine *m, uint16_t address)
{
    return &m->window[address / BANK % WINDOWS][address % BANK];
}

static uint16_t operand(struct machine *m, int bytes)
{
    uint16_t low = bytes > 0 ? *memory(m, m->pc++) : 0;
    return bytes > 1 ? (uint16_t)(low | *memory(m, m->pc++) << 8) : low;
}

static void load(struct machine *m, unsigned value)
{
    m->a = (uint8_t)value;
    m->zero = m->a == 0;
}

static void jump(struct machine *m, bool whether, uint16_t to) { m->pc = whether ? to : m->pc; }

/* One instruction; false when it was the last. */
static bool step(struct machine *m)
{
    enum op op = *memory(m, m->pc++);
    uint16_t x = operand(m, ops[op].operand);
    switch (op) {
    case LDI:
        load(m, x);
        break;
    case LD:
        load(m, *memory(m, x));
        break;
    case ST:
        *memory(m, x) = m->a;
        break;
    case ADD:
        x = *memory(m, x); /* fall through */
    case ADDI:
        m->carry = m->a + x > 255;
        load(m, m->a + x);
        break;
    case SUBI:
        load(m, m->a - x);
        break;
    case CMPI:
        m->carry = m->a >= x;
        m->zero = m->a == x;
        break;
    case HL:
        m->hl = x;
        break;
    case LDH:
        load(m, *memory(m, m->hl));
        break;
    case STH:
        *memory(m, m->hl) = m->a;
        break;
    case ADDHL:
        m->hl = (uint16_t)(m->hl + m->a);
        break;
    case INCH:
        m->hl++;
        break;
    case JMP:
        jump(m, true, x);
        break;
    case JZ:
        jump(m, m->zero, x);
        break;
    case JNZ:
        jump(m, !m->zero, x);
        break;
    case JC:
        jump(m, m->carry, x);
        break;
    case JNC:
        jump(m, !m->carry, x);
        break;
    case CALL:
        m->stack[m->depth++ % 16] = m->pc;
        m->pc = x;
        break;
    case RET:
        m->pc = m->stack[--m->depth % 16];
        break;
    case OUT:
        putchar(m->a);
        break;
    case SET_ROM:
        select_bank(m, 1, &m->rom, ROM + x % ROMS);
        break;
    case SET_RAM:
        select_bank(m, 2, &m->ram, RAM + x % RAMS);
        break;
    default:
        return false;
    }
    return true;
}

/* -- the assembler: words, twice, as the first time names are not known yet ------------------------------------- */

struct name {
    char text[16];
    uint16_t value;
};

static uint16_t value_of(const char *word, const struct name *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i].text, word) == 0) {
            return names[i].value;
        }
    }
    return (uint16_t)strtoul(word, NULL, 16);
}

static size_t define(struct name *names, size_t count, const char *text, size_t length, uint16_t value)
{
    snprintf(names[count].text, sizeof names[count].text, "%.*s", (int)length, text);
    names[count].value = value;
    return count + 1;
}

static void assemble(void)
{
    struct name names[64];
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        static char text[sizeof source];
        memcpy(text, source, sizeof source);
        uint8_t *image = rom_image[0];
        uint16_t at = 0;
        for (char *word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
            size_t length = strlen(word);
            if (strcmp(word, "=") == 0) {
                char *name = strtok(NULL, " \n");
                uint16_t value = (uint16_t)strtoul(strtok(NULL, " \n"), NULL, 16);
                count = pass == 0 ? define(names, count, name, strlen(name), value) : count;
            } else if (strcmp(word, "segment") == 0) {
                image = rom_image[atoi(strtok(NULL, " \n"))];
                at = (uint16_t)strtoul(strtok(NULL, " \n"), NULL, 16);
            } else if (word[length - 1] == ':') {
                count = pass == 0 ? define(names, count, word, length - 1, at) : count;
            } else {
                enum op op = HALT;
                while (op < OPS - 1 && strcmp(ops[op].name, word) != 0) {
                    op++;
                }
                image[at++ % BANK] = (uint8_t)op;
                uint16_t x = ops[op].operand > 0 ? value_of(strtok(NULL, " \n"), names, count) : 0;
                for (int byte = 0; byte < ops[op].operand; byte++) {
                    image[at++ % BANK] = (uint8_t)(x >> 8 * byte);
                }
            }
        }
    }
}

int main(void)
{
    assemble();
    struct machine m;
    machine_init(&m);
    unsigned long steps = 0;
    while (step(&m)) {
        steps++;
    }
    static const unsigned fixed[] = {FIXED_ROM, FIXED_RAM};
    allot_overlay_leave(&m.overlay, fixed[0]);
    allot_overlay_leave(&m.overlay, fixed[1]);
    allot_overlay_leave(&m.overlay, m.rom);
    allot_overlay_leave(&m.overlay, m.ram);
    struct allot_overlay_stats stats;
    allot_overlay_stats(&m.overlay, &stats);
    fprintf(stderr, "%lu instructions, %lu switches, %lu loads, %lu saves; %zu KiB for %zu KiB of segments\n", steps,
            m.switches, (unsigned long)stats.loads, (unsigned long)stats.saves, stats.layout.area >> 10,
            stats.layout.total >> 10);
    const struct allot_overlay_seg *segs = m.overlay.segs;
    allot_overlay_done(&m.overlay);
    free((void *)segs);
    return 0;
}
