/* Preloaded into a program: its wall clock is off by as many seconds as the file $WALL_CLOCK says,
 * from one look at it to the next. The monotonic clock goes on as it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static time_t
offset_s(void)
{
    char text[32] = "";
    const char *path = getenv("WALL_CLOCK");
    int saved = errno, fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        close(fd);
    }
    errno = saved;
    return (time_t)strtoll(text, NULL, 10);
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    long r = syscall(SYS_clock_gettime, clock, ts);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ts->tv_sec += offset_s();
    return (int)r;
}

time_t
time(time_t *ret)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if (ret)
        *ret = ts.tv_sec;
    return ts.tv_sec;
}
