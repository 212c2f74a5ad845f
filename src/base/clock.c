/* Time, with a clock that tests can move: see clock.h. */
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t own_offset_ms;
static _Atomic int64_t *offset_ms = &own_offset_ms;
static bool is_test;

static int64_t read_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_real_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000 + atomic_load_explicit(offset_ms, memory_order_relaxed);
}

int64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000 + atomic_load_explicit(offset_ms, memory_order_relaxed);
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int clock_use_file(const char *path)
{
    CLEANUP(cleanup_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, sizeof(*offset_ms)) < 0)
        return -errno;
    void *page = mmap(NULL, sizeof(*offset_ms), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    offset_ms = page;
    is_test = true;
    return 0;
}

void clock_advance_ms(int64_t ms)
{
    is_test = true;
    atomic_fetch_add(offset_ms, ms);
}

bool clock_is_test(void)
{
    return is_test;
}

const char *clock_format_utc(int64_t real_ms, char out[CLOCK_TEXT_BYTES])
{
    time_t seconds = (time_t)(real_ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    size_t len = strftime(out, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + len, CLOCK_TEXT_BYTES - len, ".%03dZ", (int)(real_ms % 1000));
    return out;
}

const char *clock_format_mail(int64_t real_ms, char out[CLOCK_TEXT_BYTES])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(real_ms / 1000);
    struct tm tm;

    localtime_r(&seconds, &tm);
    int zone = (int)(tm.tm_gmtoff / 60);
    (void)snprintf(out, CLOCK_TEXT_BYTES, "%.3s, %d %.3s %d %02d:%02d:%02d %c%02d%02d",
                   days + 3 * (tm.tm_wday % 7), tm.tm_mday % 100, months + 3 * (tm.tm_mon % 12),
                   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, zone < 0 ? '-' : '+',
                   abs(zone) / 60 % 100, abs(zone) % 60);
    return out;
}
