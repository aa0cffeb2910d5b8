/* busy - a program that does hardly anything but allocate: 2 N mallocs and as many frees, at stacks about seven calls deep of which
 * the inner ones change from one to the next, as in programs that compute with big numbers.
 *
 * Usage: busy N */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL __attribute__((noinline)) static

struct number {
    size_t words;
    uint64_t word[];
};

CALL struct number *make(size_t words)
{
    struct number *number = malloc(sizeof *number + words * sizeof number->word[0]);
    number->words = words;
    memset(number->word, 0, words * sizeof number->word[0]);
    return number;
}

CALL struct number *copy(const struct number *from, size_t words)
{
    struct number *number = make(words);
    memcpy(number->word, from->word, (words < from->words ? words : from->words) * sizeof number->word[0]);
    return number;
}

CALL struct number *add(const struct number *a, const struct number *b)
{
    struct number *sum = copy(a, a->words);
    for (size_t i = 0; i < b->words && i < a->words; i++) {
        sum->word[i] += b->word[i];
    }
    return sum;
}

CALL struct number *multiply(const struct number *a, uint64_t by)
{
    struct number *product = make(a->words);
    for (size_t i = 0; i < a->words; i++) {
        product->word[i] = a->word[i] * by;
    }
    return product;
}

CALL uint64_t combine(const struct number *a, uint64_t by)
{
    struct number *product = multiply(a, by), *sum = add(a, product);
    uint64_t result = sum->word[0];
    free(product);
    free(sum);
    return result;
}

CALL uint64_t reduce(const struct number *a, uint64_t by) { return combine(a, by) + 1; }

CALL uint64_t term(const struct number *a, uint64_t by) { return by & 1 ? reduce(a, by) ^ by : combine(a, by) + by; }

CALL uint64_t series(const struct number *a, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum = term(a, sum + i) + i;
    }
    return sum;
}

int main(int argc, char **argv)
{
    struct number *one = make(3);
    one->word[0] = 1;
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000000;
    printf("%lu\n", (unsigned long)series(one, n));
    free(one);
    return 0;
}
