/* fuzz_main.c - a loop around a libFuzzer target, for compilers that have none: EXECUTIONS [SEED]. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 512, KEPT = 256 };

static uint64_t random_state;

static uint32_t random_u32(void) /* xorshift64* (Vigna) */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545F4914F6CDD1Du) >> 32);
}

/* Change some bytes of what was tried before, or begin anew. */
static size_t mutate(uint8_t *data, size_t len)
{
    if (len < 16 || random_u32() % 8 == 0) {
        len = 16 + random_u32() % (INPUT_MAX - 16);
        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)random_u32();
        return len;
    }
    for (unsigned n = 1 + random_u32() % 8; n; n--)
        data[random_u32() % len] = (uint8_t)random_u32();
    if (random_u32() % 4 == 0) { /* the same deeds again */
        size_t from = random_u32() % len, to = random_u32() % len, n = random_u32() % 32;

        for (size_t i = 0; i < n && from + i < len && to + i < len; i++)
            data[to + i] = data[from + i];
    }
    return len;
}

int main(int argc, char **argv)
{
    static uint8_t kept[KEPT][INPUT_MAX];
    static size_t len[KEPT];
    unsigned long long executions = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    unsigned long long seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    random_state = seed * 2 + 1;
    for (unsigned long long i = 0; i < executions; i++) {
        unsigned k = random_u32() % KEPT;

        len[k] = mutate(kept[k], len[k]);
        LLVMFuzzerTestOneInput(kept[k], len[k]);
    }
    printf("%llu executions, seed %llu: no finding\n", executions, seed);
    return 0;
}
