/* warm - brings the machine's free memory into the same state before every run that is measured: takes 256 MiB, half in huge
 * pages where the system has them and half in small ones, writes all of it and gives it back. What the run then gets from
 * the system is what this left, and not what its predecessor did. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>

enum { HALF = 128 << 20, PAGE = 4096 };

int main(void)
{
    for (int huge = 1; huge >= 0; huge--) {
        char *memory = mmap(NULL, HALF, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            perror("warm");
            return 1;
        }
        madvise(memory, HALF, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE); /* a kernel without them has but one state */
        for (size_t at = 0; at < HALF; at += PAGE)
            memory[at] = 1;
        munmap(memory, HALF);
    }
    return 0;
}
