/* A slow disk: with LD_PRELOAD, asking for the state of a file below SLOW_STAT_ROOT takes SLOW_STAT_US microseconds.

   Counts those calls, and the listings of folders there, in the 16 bytes of the file SLOW_STAT_COUNTS.
   cc -shared -fPIC -O2 -o slow_stat.so slow_stat.c -ldl */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *root;
static useconds_t delay;
static volatile unsigned long none[2], *counts = none;

__attribute__((constructor)) static void begin(void) {
    const char *us = getenv("SLOW_STAT_US"), *file = getenv("SLOW_STAT_COUNTS");
    root = getenv("SLOW_STAT_ROOT");
    delay = us ? (useconds_t)atoi(us) : 0;
    int fd = file ? open(file, O_RDWR) : -1;
    if (fd >= 0) {
        void *mapped = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (mapped != MAP_FAILED) counts = mapped;
        close(fd);
    }
}

static int below(const char *path) { return root && path && strncmp(path, root, strlen(root)) == 0; }

static void slow(const char *path) {
    if (below(path)) {
        __atomic_fetch_add(&counts[0], 1, __ATOMIC_RELAXED);
        usleep(delay);
    }
}

/* Both names of each: programs with large files call stat64. */
#define BY_PATH(name, type)                                    \
    int name(const char *path, struct type *to) {              \
        static int (*real)(const char *, struct type *);       \
        if (!real) real = dlsym(RTLD_NEXT, #name);             \
        slow(path);                                            \
        return real(path, to);                                 \
    }
#define BELOW(name, type)                                                  \
    int name(int dir, const char *path, struct type *to, int flags) {      \
        static int (*real)(int, const char *, struct type *, int);         \
        if (!real) real = dlsym(RTLD_NEXT, #name);                         \
        slow(path);                                                        \
        return real(dir, path, to, flags);                                 \
    }
BY_PATH(stat, stat)
BY_PATH(stat64, stat64)
BY_PATH(lstat, stat)
BY_PATH(lstat64, stat64)
BELOW(fstatat, stat)
BELOW(fstatat64, stat64)

int statx(int dir, const char *path, int flags, unsigned mask, struct statx *to) {
    static int (*real)(int, const char *, int, unsigned, struct statx *);
    if (!real) real = dlsym(RTLD_NEXT, "statx");
    slow(path);
    return real(dir, path, flags, mask, to);
}

DIR *opendir(const char *path) {
    static DIR *(*real)(const char *);
    if (!real) real = dlsym(RTLD_NEXT, "opendir");
    if (below(path)) __atomic_fetch_add(&counts[1], 1, __ATOMIC_RELAXED);
    return real(path);
}
