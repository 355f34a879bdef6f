/* tests/fuzz/driver.c: runs a fuzz target without a fuzzer, so that any compiler's sanitizers can watch it in a test.
 *
 *   fuzz_NAME SEED_FOLDER [RUNS] [SEED]   every file of the folder, then RUNS mutations of them
 *   fuzz_NAME FILE                        one input, to look into a failure
 *
 * Same arguments, same inputs, on every machine. The input under way when the process dies, or when it takes longer than
 * INPUT_SECONDS, is written to failed-input in the current folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
/* Defined by the sanitizers' run time, where there is one. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

enum { RUNS = 3000, INPUT_BYTES = 1 << 20, MAX_SEEDS = 4096, INPUT_SECONDS = 20 };

typedef struct input {
    uint8_t *data;
    size_t n;
} input;

static input seeds[MAX_SEEDS];
static int n_seeds;
static input current;
static uint64_t random_state = 1;

static uint64_t random_next(void)
{
    /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t random_below(size_t n)
{
    return n ? (size_t)(random_next() % n) : 0;
}

static void die(const char *what, const char *path)
{
    (void)fprintf(stderr, "%s: %s: %s\n", path, what, strerror(errno));
    exit(2);
}

static void keep_input(void)
{
    const int fd = open("failed-input", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return;
    for (size_t at = 0; at < current.n;) {
        const ssize_t put = write(fd, current.data + at, current.n - at);
        if (put <= 0)
            break;
        at += (size_t)put;
    }
    (void)close(fd);
}

static void on_signal(int sig)
{
    static const char slow[] = "one input takes too long; it is in failed-input\n";
    keep_input();
    if (sig == SIGALRM) {
        (void)!write(STDERR_FILENO, slow, sizeof slow - 1);
        _exit(1);
    }
    (void)signal(sig, SIG_DFL);
    (void)raise(sig);
}

/* The target sees a block of exactly n bytes, so that reading past its end is caught. */
static void run(const uint8_t *data, size_t n)
{
    current.data = malloc(n ? n : 1);
    current.n = n;
    if (!current.data)
        die("out of memory", "driver");
    if (n)
        memcpy(current.data, data, n);
    (void)alarm(INPUT_SECONDS);
    (void)LLVMFuzzerTestOneInput(current.data, n);
    (void)alarm(0);
    free(current.data);
    current = (input){0};
}

static void load(const char *path)
{
    struct stat sb;
    const int fd = open(path, O_RDONLY);

    if (fd < 0 || fstat(fd, &sb) < 0)
        die("cannot be read", path);
    if (!S_ISREG(sb.st_mode) || sb.st_size > INPUT_BYTES || n_seeds == MAX_SEEDS) {
        (void)close(fd);
        return;
    }
    input in = {malloc((size_t)sb.st_size + 1), 0};
    if (!in.data)
        die("out of memory", path);
    for (ssize_t got; (got = read(fd, in.data + in.n, (size_t)sb.st_size - in.n)) > 0;)
        in.n += (size_t)got;
    (void)close(fd);
    seeds[n_seeds++] = in;
}

static void load_folder(const char *path)
{
    struct dirent **names = NULL;
    const int n = scandir(path, &names, NULL, alphasort);

    if (n < 0 && errno != ENOENT)
        die("cannot be listed", path);
    for (int i = 0; i < n; i++) {
        char file[4096];
        if (names[i]->d_name[0] != '.' && (size_t)snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name) < sizeof file)
            load(file);
        free(names[i]);
    }
    free(names);
}

/* Replaces `cut` bytes at `at` by n others. The buffer has room for INPUT_BYTES. */
static void replace(uint8_t *buf, size_t *len, size_t at, size_t cut, const uint8_t *with, size_t n)
{
    if (cut > *len - at)
        cut = *len - at;
    if (*len - cut + n > INPUT_BYTES)
        return;
    memmove(buf + at + n, buf + at + cut, *len - at - cut);
    if (n)
        memmove(buf + at, with, n);
    *len = *len - cut + n;
}

static void mutate(uint8_t *buf, size_t *len)
{
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\\', '{', '}', '[', ']', ',', ':', '\n', '<', '>', 0xef, 0xc0};
    static const char *const words[] = {
        "-1", "0", "1e999", "18446744073709551616", "9223372036854775807", "-9223372036854775808", "4294967296", "nan",
        "null", "true", "{}", "[]", "[[[[[[[[", "\"\"", "\\u0000", "\\ud800", "\xed\xa0\x80", "\xf4\x90\x80\x80", "../", "\r\n",
    };
    const size_t at = random_below(*len + 1);
    uint8_t piece[64];

    switch (random_below(9)) {
    case 0: /* one bit */
        if (at < *len)
            buf[at] ^= (uint8_t)(1u << random_below(8));
        break;
    case 1:
        if (at < *len)
            buf[at] = (uint8_t)random_next();
        break;
    case 2:
        if (at < *len)
            buf[at] = edges[random_below(sizeof edges)];
        break;
    case 3: /* cut out */
        replace(buf, len, at, 1 + random_below(random_below(2) ? 8 : 1 + *len), NULL, 0);
        break;
    case 4: /* insert noise */
        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = (uint8_t)random_next();
        replace(buf, len, at, 0, piece, 1 + random_below(sizeof piece));
        break;
    case 5: { /* a number or a word that parsers trip over */
        const char *w = words[random_below(sizeof words / sizeof words[0])];
        replace(buf, len, at, random_below(8), (const uint8_t *)w, strlen(w));
        break;
    }
    case 6: { /* repeat a stretch of itself */
        const size_t n = random_below(1 + (*len - at < sizeof piece ? *len - at : sizeof piece));
        memcpy(piece, buf + at, n);
        for (size_t times = 1 + random_below(8); times-- > 0;)
            replace(buf, len, at, 0, piece, n);
        break;
    }
    case 7: { /* a stretch of another seed */
        const input *other = &seeds[random_below((size_t)n_seeds)];
        const size_t from = random_below(other->n + 1);
        replace(buf, len, at, random_below(16), other->data + from, random_below(1 + other->n - from));
        break;
    }
    default: { /* an edge value in four or eight bytes: lengths, counts, offsets */
        static const uint64_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX};
        const uint64_t v = values[random_below(sizeof values / sizeof values[0])];
        memcpy(piece, &v, sizeof v);
        const size_t n = random_below(2) ? 4 : 8;
        replace(buf, len, at, n, piece, n);
        break;
    }
    }
}

int main(int argc, char **argv)
{
    struct stat sb;
    static uint8_t buf[INPUT_BYTES];

    if (argc < 2 || argc > 4) {
        (void)fprintf(stderr, "usage: %s SEED_FOLDER [RUNS] [SEED] | FILE\n", argv[0]);
        return 2;
    }
    (void)signal(SIGALRM, on_signal);
    (void)signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_input);

    const int one_file = stat(argv[1], &sb) == 0 && S_ISREG(sb.st_mode);
    const long runs = one_file ? 0 : argc > 2 ? strtol(argv[2], NULL, 10) : RUNS;
    random_state = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    if (one_file)
        load(argv[1]);
    else
        load_folder(argv[1]);
    const int n_files = n_seeds;
    if (n_seeds == 0)
        seeds[n_seeds++] = (input){calloc(1, 1), 0};

    for (int i = 0; i < n_seeds; i++)
        run(seeds[i].data, seeds[i].n);
    for (long i = 0; i < runs; i++) {
        const input *seed = &seeds[random_below((size_t)n_seeds)];
        size_t n = seed->n;
        memcpy(buf, seed->data, n);
        for (size_t times = 1 + random_below(4); times-- > 0;)
            mutate(buf, &n);
        run(buf, n);
    }
    (void)printf("%d files and %ld mutations\n", n_files, runs);
    for (int i = 0; i < n_seeds; i++)
        free(seeds[i].data);
    return 0;
}
