/* Lets one process live at another time: preloaded, it adds an offset to the real-time clock.
 *
 * CLOCK_SHIM_FILE names a file of eight bytes, the offset in seconds as a native integer. It is
 * mapped, so that a change takes effect at once. Nothing is allocated: allocators ask for the time
 * while they are being set up.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t offset_seconds(void) {
    static const volatile int64_t *offset;
    static int tried;
    if (!tried) {
        tried = 1;
        const char *path = getenv("CLOCK_SHIM_FILE");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (file >= 0) {
            void *place = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
            if (place != MAP_FAILED) {
                offset = place;
            }
            close(file);
        }
    }
    return offset ? *offset : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += offset_seconds();
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) {
        return -1;
    }
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) {
        *place = now.tv_sec;
    }
    return now.tv_sec;
}
