/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/table_cell.h"

#include <flowcarve/text.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int fc_stop;

static int64_t asked_ns; /* when the first signal came; 0: none has */
static int asked_by;     /* its number */

/*
 * A later signal ends the process the hard way, for whoever does not want to wait. One that comes with the first does
 * not: timeout(1) sends two at once, to the process and to its group.
 */
static void on_signal(int number)
{
    const int64_t patience_ns = 1000000000;
    int saved = errno;
    struct timespec now;
    int64_t before = 0;

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    bool first = __atomic_compare_exchange_n(&asked_ns, &before, now_ns, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    if (!first && now_ns - before > patience_ns) {
        signal(number, SIG_DFL);
        raise(number);
    }
    if (first)
        __atomic_store_n(&asked_by, number, __ATOMIC_RELAXED);
    __atomic_store_n(&fc_stop, 1, __ATOMIC_RELAXED);
    errno = saved;
}

void fc_catch_signals(void)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_signal}, before;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        /* nohup(1), and shells for what runs in the background, have signals ignored */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error like a full disk, behind which is tidied up */
}

int fc_stop_signal(void)
{
    return __atomic_load_n(&asked_by, __ATOMIC_RELAXED);
}

void fc_die_of_signal(void)
{
    int number = fc_stop_signal();
    sigset_t one;

    if (!number)
        return;
    fflush(NULL);
    signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    raise(number);
}

void fc_lift_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

const char *fc_db_name(const char *option)
{
    const char *env = getenv("FLOWCARVE_DB");

    return option ? option : env && *env ? env : "flowcarve.db";
}

/* Is standard error the journal, which takes a level in front of a line, and knows the program? */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

static void put_line(enum fc_level level, const char *fmt, va_list ap)
{
    char raw[FC_ERROR_TEXT_MAX + 256], line[4 * sizeof raw], head[16] = "flowcarve: ";

    vsnprintf(raw, sizeof raw, fmt, ap);
    if (is_journal())
        snprintf(head, sizeof head, "<%d>", (int)level);
    fprintf(stderr, "%s%s\n", head, fc_text_show(raw, line, sizeof line));
}

void fc_complain(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(FC_LEVEL_ERROR, fmt, ap);
    va_end(ap);
}

void fc_log(enum fc_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line(level, fmt, ap);
    va_end(ap);
}

void fc_complain_error(const struct fc_error *err)
{
    char text[FC_ERROR_TEXT_MAX];

    fc_complain("%s", fc_error_text(err, text, sizeof text));
}

bool fc_size_option(const char *text, uint64_t *bytes)
{
    char *end;
    unsigned shift = 0;

    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (end == text || errno || *text == '-')
        return false;
    switch (*end) {
    case 'k':
    case 'K':
        shift = 10;
        break;
    case 'm':
    case 'M':
        shift = 20;
        break;
    case 'g':
    case 'G':
        shift = 30;
        break;
    case 't':
    case 'T':
        shift = 40;
        break;
    default:
        break;
    }
    if (shift)
        end++;
    if (*end == 'i')
        end++;
    if (*end == 'B' || *end == 'b')
        end++;
    if (*end || n > UINT64_MAX >> shift)
        return false;
    *bytes = n << shift;
    return true;
}

bool fc_number_option(const char *text, int64_t low, int64_t high, int64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoll(text, &end, 10);
    return end != text && !*end && !errno && *number >= low && *number <= high;
}

bool fc_duration_option(const char *text, int64_t *ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"us", 1000},
                 {"ms", 1000000},
                 {"s", 1000000000},
                 {"m", INT64_C(60) * 1000000000},
                 {"h", INT64_C(3600) * 1000000000},
                 {"d", INT64_C(86400) * 1000000000},
                 {"w", INT64_C(7) * 86400 * 1000000000},
                 {"y", INT64_C(365) * 86400 * 1000000000}};
    char *end;

    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || errno || n <= 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0)
            return !__builtin_mul_overflow(n, units[i].ns, ns);
    return false;
}

char *fc_join_words(int count, char **words)
{
    size_t len = 1;
    char *text, *p;

    for (int i = 0; i < count; i++)
        len += strlen(words[i]) + 1;
    text = p = malloc(len);
    if (!text)
        return NULL;
    for (int i = 0; i < count; i++) {
        if (i)
            *p++ = ' ';
        p = stpcpy(p, words[i]);
    }
    *p = '\0';
    return text;
}

const char *fc_human_bytes(uint64_t bytes, char *buf, size_t size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes;
    int u = 0;

    while (v >= 999.5 && u < 6) {
        v /= 1000;
        u++;
    }
    snprintf(buf, size, u && v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return buf;
}

const char *fc_human_count(uint64_t n, char *buf, size_t size)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    size_t out = 0;

    for (int i = 0; i < len && out + 2 < size; i++) {
        if (i && (len - i) % 3 == 0)
            buf[out++] = ',';
        buf[out++] = digits[i];
    }
    buf[out] = '\0';
    return buf;
}

const char *fc_pending_term(uint64_t bytes, char *buf, size_t size)
{
    *buf = '\0';
    if (bytes)
        snprintf(buf, size, " + %" PRIu64 " pending", bytes);
    return buf;
}

const char *fc_human_things(uint64_t n, const char *thing, char *buf, size_t size)
{
    char count[32];

    snprintf(buf, size, "%s %s%s", fc_human_count(n, count, sizeof count), thing, n == 1 ? "" : "s");
    return buf;
}

const char *fc_gone_since(int64_t ns, char *buf, size_t size)
{
    char time[FC_CELL_MAX];

    if (ns)
        fc_cell_time(time, ns, 0, false);
    snprintf(buf, size, "%s%s%s", ns ? ": packets gone since " : "", ns ? time : "", ns ? " UTC" : "");
    return buf;
}

int fc_output_done(void)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE)
        return FC_EXIT_OK;
    fc_complain("cannot write: %s", strerror(errno));
    return FC_EXIT_ERROR;
}
