/* Faults on demand: loaded before libc (LD_PRELOAD) into a server that a test started, never linked into a program.
 *
 * Every call that changes, reads or makes durable something below one folder, and every octet that leaves on a socket, is
 * a point. A test says by a page that both map (FAULT_CONTROL) which points count, and at the n-th of them the process is killed
 * (before, after, or half-way through a write), or the calls from there on fail for a while. With FAULT_JOURNAL each change is
 * also written to a journal, so that the test can say what a power cut would have left: what no fsync has made durable
 * may be gone, and what an fsync failed on is gone.
 *
 * The layout of the page and of the journal is that of control.rs and journal.rs.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef O_TMPFILE
#define O_TMPFILE 0
#endif

enum op { FSYNC, WRITE, READ, RENAME, UNLINK, MKDIR, OPEN, TRUNCATE, ACCEPT, ANSWER, OPS };
enum class { DB, WAL, SHM, SPOOL, TMP, CUR, FOLDER, OTHER, SOCKET, CLASSES };
enum mode { BEFORE, AFTER, HALF };

struct control {
    _Atomic uint64_t ops, classes;    /* bits of what counts */
    _Atomic uint64_t count;           /* points passed that counted */
    _Atomic uint64_t kill_at, mode;   /* 0: never */
    _Atomic uint64_t from, times;     /* points that fail: from this one (0: none), so many */
    _Atomic uint64_t error, half;     /* with this errno; half: writes are cut short instead */
    _Atomic uint64_t failed;          /* points that did */
    _Atomic uint64_t killed;          /* 1 + op * CLASSES + class */
    _Atomic uint64_t slow;            /* or they take so many microseconds longer instead */
    _Atomic uint64_t seen[OPS * CLASSES];
};

static struct control *control;
static int journal = -1;
static char root[1024];
static size_t root_length;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t syncs;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULT_CONTROL"), *folder = getenv("FAULT_ROOT"), *to = getenv("FAULT_JOURNAL");
    if (!path || !folder || strlen(folder) >= sizeof root)
        return;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (page == MAP_FAILED)
        return;
    strcpy(root, folder);
    root_length = strlen(root);
    if (to)
        journal = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    control = page;
    /* The programs that a server may start are not the server. */
    unsetenv("LD_PRELOAD");
}

/* --- What a path or a descriptor is ------------------------------------------------------------------------------ */

static int ends(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static int below(const char *path) {
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

static enum class class_of(const char *path, int is_folder) {
    if (ends(path, ".db")) return DB;
    if (ends(path, "-wal") || ends(path, "-journal")) return WAL;
    if (ends(path, "-shm")) return SHM;
    path += root_length;
    if (strncmp(path, "/spool", 6) == 0) return SPOOL;
    if (is_folder) return FOLDER;
    if (strstr(path, "/tmp/")) return TMP;
    if (strstr(path, "/cur/")) return CUR;
    return OTHER;
}

/* The path behind a descriptor; empty if there is none. */
static void path_of(int fd, char *path, size_t size) {
    char link[64] = "/proc/self/fd/";
    char digits[16];
    int at = 0, length = strlen(link);
    unsigned number = fd < 0 ? 0 : (unsigned)fd;
    do digits[at++] = '0' + number % 10; while (number /= 10);
    while (at) link[length++] = digits[--at];
    link[length] = 0;
    ssize_t got = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    path[got < 0 ? 0 : got] = 0;
    /* A file without a name any more is still the file. */
    if (ends(path, " (deleted)"))
        path[strlen(path) - strlen(" (deleted)")] = 0;
}

static void resolve(int folder, const char *path, char *full, size_t size) {
    full[0] = 0;
    if (path[0] != '/') {
        if (folder == AT_FDCWD) {
            if (syscall(SYS_getcwd, full, size) < 0)
                full[0] = 0;
        } else
            path_of(folder, full, size);
        strncat(full, "/", size - strlen(full) - 1);
    }
    strncat(full, path, size - strlen(full) - 1);
    for (size_t end = strlen(full); end > 1 && full[end - 1] == '/'; end--)
        full[end - 1] = 0;
}

/* Whether a descriptor is of interest, and what it is. */
static int known(int fd, char *path, size_t size, enum class *class) {
    struct stat stat;
    if (!control)
        return 0;
    path_of(fd, path, size);
    if (strncmp(path, "socket:", 7) == 0) {
        *class = SOCKET;
        return 1;
    }
    if (!below(path))
        return 0;
    *class = class_of(path, fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode));
    return 1;
}

/* --- Points ------------------------------------------------------------------------------------------------------ */

struct point {
    uint64_t number; /* 0: does not count */
    int fails, half, dies;
    enum op op;
    enum class class;
};

static void die(const struct point *point) {
    control->killed = 1 + point->op * CLASSES + point->class;
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

static struct point pass(enum op op, enum class class) {
    struct point point = {.op = op, .class = class};
    control->seen[op * CLASSES + class]++;
    if (!(control->ops >> op & 1) || !(control->classes >> class & 1))
        return point;
    point.number = ++control->count;
    uint64_t from = control->from;
    if (from && point.number >= from && point.number - from < control->times) {
        uint64_t slow = control->slow;
        struct timespec time = {slow / 1000000, slow % 1000000 * 1000};
        if (slow)
            syscall(SYS_nanosleep, &time, NULL);
        point.half = control->half != 0;
        point.fails = !point.half && !slow;
        control->failed++;
    }
    if (control->kill_at && point.number == control->kill_at) {
        if (control->mode == BEFORE || (control->mode == HALF && op != WRITE && op != ANSWER))
            die(&point);
        point.dies = 1;
        point.half = point.half || control->mode == HALF;
    }
    return point;
}

static long fail(void) {
    errno = control->error;
    return -1;
}

static long passed(const struct point *point, long result) {
    if (point->dies)
        die(point);
    return result;
}

/* --- The journal ------------------------------------------------------------------------------------------------- */

enum record { R_WRITE = 1, R_TRUNCATE, R_CREATE, R_MKDIR, R_RENAME, R_UNLINK, R_SYNC_BEGIN, R_SYNC_DONE, R_SYNC_FAILED };

struct header {
    uint32_t record, first, second, octets; /* lengths of what follows */
    uint64_t inode, number;
};

static void note(enum record record, uint64_t inode, uint64_t number, const char *first, const char *second,
                 const void *octets, size_t count) {
    if (journal < 0)
        return;
    struct header header = {record, first ? strlen(first) : 0, second ? strlen(second) : 0, count, inode, number};
    struct iovec parts[] = {
        {&header, sizeof header},
        {(void *)first, header.first},
        {(void *)second, header.second},
        {(void *)octets, count},
    };
    syscall(SYS_writev, journal, parts, 4);
}

static uint64_t inode(int fd) {
    struct stat stat;
    return fstat(fd, &stat) == 0 ? stat.st_ino : 0;
}

static void lock(void) { pthread_mutex_lock(&order); }
static void unlock(void) {
    int error = errno;
    pthread_mutex_unlock(&order);
    errno = error;
}

/* --- Writes ------------------------------------------------------------------------------------------------------ */

static ssize_t write_at(int fd, const void *octets, size_t count, off_t at, int placed) {
    char path[1100];
    enum class class;
    if (!known(fd, path, sizeof path, &class))
        return placed ? syscall(SYS_pwrite64, fd, octets, count, at) : syscall(SYS_write, fd, octets, count);
    struct point point = pass(class == SOCKET ? ANSWER : WRITE, class);
    if (point.fails)
        return fail();
    if (point.half && count > 1)
        count = count / 2;
    if (class == SOCKET)
        return passed(&point, syscall(SYS_write, fd, octets, count));
    lock();
    if (!placed) {
        at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
        if (syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND)
            at = syscall(SYS_lseek, fd, 0, SEEK_END);
    }
    ssize_t done = placed ? syscall(SYS_pwrite64, fd, octets, count, at) : syscall(SYS_write, fd, octets, count);
    if (done > 0 && class != SHM)
        note(R_WRITE, inode(fd), at, path, NULL, octets, done);
    unlock();
    return passed(&point, done);
}

ssize_t write(int fd, const void *octets, size_t count) { return write_at(fd, octets, count, 0, 0); }
ssize_t pwrite(int fd, const void *octets, size_t count, off_t at) { return write_at(fd, octets, count, at, 1); }
ssize_t pwrite64(int fd, const void *octets, size_t count, off_t at) { return write_at(fd, octets, count, at, 1); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[1100];
    enum class class;
    if (!known(fd, path, sizeof path, &class) || count < 1)
        return syscall(SYS_writev, fd, parts, count);
    if (class != SOCKET)
        /* The first part alone: whoever writes has to ask for the rest. */
        return write_at(fd, parts[0].iov_base, parts[0].iov_len, 0, 0);
    struct point point = pass(ANSWER, class);
    if (point.fails)
        return fail();
    return passed(&point, syscall(SYS_writev, fd, parts, point.half ? 1 : count));
}

static ssize_t send_to(int fd, const void *octets, size_t count, int flags) {
    char path[1100];
    enum class class;
    if (!known(fd, path, sizeof path, &class))
        return syscall(SYS_sendto, fd, octets, count, flags, NULL, 0);
    struct point point = pass(ANSWER, class);
    if (point.fails)
        return fail();
    if (point.half && count > 1)
        count = count / 2;
    return passed(&point, syscall(SYS_sendto, fd, octets, count, flags, NULL, 0));
}

ssize_t send(int fd, const void *octets, size_t count, int flags) { return send_to(fd, octets, count, flags); }

static int cut(int fd, off_t length) {
    char path[1100];
    enum class class;
    if (!known(fd, path, sizeof path, &class) || class == SOCKET)
        return syscall(SYS_ftruncate, fd, length);
    struct point point = pass(TRUNCATE, class);
    if (point.fails)
        return fail();
    lock();
    int done = syscall(SYS_ftruncate, fd, length);
    if (done == 0 && class != SHM)
        note(R_TRUNCATE, inode(fd), length, path, NULL, NULL, 0);
    unlock();
    return passed(&point, done);
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off_t length) { return cut(fd, length); }

/* Whoever asks for these takes the way over read and write where the system has none. */
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t count, unsigned flags) {
    char path[1100];
    enum class class;
    if (known(to, path, sizeof path, &class)) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_copy_file_range, from, from_at, to, to_at, count, flags);
}

/* --- Reads ------------------------------------------------------------------------------------------------------- */

static ssize_t read_at(int fd, void *octets, size_t count, off_t at, int placed) {
    char path[1100];
    enum class class;
    if (known(fd, path, sizeof path, &class) && class != SOCKET) {
        struct point point = pass(READ, class);
        if (point.fails)
            return fail();
        if (point.half && count > 1)
            count = count / 2;
        return passed(&point, placed ? syscall(SYS_pread64, fd, octets, count, at) : syscall(SYS_read, fd, octets, count));
    }
    return placed ? syscall(SYS_pread64, fd, octets, count, at) : syscall(SYS_read, fd, octets, count);
}

ssize_t read(int fd, void *octets, size_t count) { return read_at(fd, octets, count, 0, 0); }
ssize_t pread(int fd, void *octets, size_t count, off_t at) { return read_at(fd, octets, count, at, 1); }
ssize_t pread64(int fd, void *octets, size_t count, off_t at) { return read_at(fd, octets, count, at, 1); }

/* --- Durability -------------------------------------------------------------------------------------------------- */

static int sync_file(int fd, long call) {
    char path[1100];
    enum class class;
    if (!known(fd, path, sizeof path, &class) || class == SOCKET)
        return syscall(call, fd);
    struct point point = pass(FSYNC, class);
    uint64_t number = ++syncs, file = inode(fd);
    lock();
    note(R_SYNC_BEGIN, file, number, path, NULL, NULL, 0);
    unlock();
    int done = point.fails ? fail() : syscall(call, fd);
    lock();
    note(done == 0 ? R_SYNC_DONE : R_SYNC_FAILED, file, number, path, NULL, NULL, 0);
    unlock();
    return passed(&point, done);
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

/* --- Names ------------------------------------------------------------------------------------------------------- */

static int open_in(int folder, const char *path, int flags, mode_t mode) {
    char full[2200];
    struct stat stat;
    if (control)
        resolve(folder, path, full, sizeof full);
    if (!control || !below(full))
        return syscall(SYS_openat, folder, path, flags, mode);
    int there = syscall(SYS_faccessat, AT_FDCWD, full, F_OK) == 0;
    struct point point = pass(OPEN, class_of(full, flags & O_DIRECTORY));
    if (point.fails)
        return fail();
    if (!(flags & (O_CREAT | O_TRUNC)))
        return passed(&point, syscall(SYS_openat, folder, path, flags, mode));
    lock();
    there = syscall(SYS_faccessat, AT_FDCWD, full, F_OK) == 0;
    int fd = syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0 && class_of(full, 0) != SHM && fstat(fd, &stat) == 0) {
        if (!there)
            note(R_CREATE, stat.st_ino, 0, full, NULL, NULL, 0);
        else if (flags & O_TRUNC)
            note(R_TRUNCATE, stat.st_ino, 0, full, NULL, NULL, 0);
    }
    unlock();
    return passed(&point, fd);
}

#define MODE(flags)                                                                                                    \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {                                                     \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode = va_arg(list, int);                                                                                      \
        va_end(list);                                                                                                  \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return open_in(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags)
    return open_in(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return open_in(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return open_in(folder, path, flags, mode);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    char full[2200];
    struct stat made;
    if (control)
        resolve(folder, path, full, sizeof full);
    if (!control || !below(full))
        return syscall(SYS_mkdirat, folder, path, mode);
    struct point point = pass(MKDIR, class_of(full, 1));
    if (point.fails)
        return fail();
    lock();
    int done = syscall(SYS_mkdirat, folder, path, mode);
    if (done == 0 && stat(full, &made) == 0)
        note(R_MKDIR, made.st_ino, 0, full, NULL, NULL, 0);
    unlock();
    return passed(&point, done);
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int folder, const char *path, int flags) {
    char full[2200];
    if (control)
        resolve(folder, path, full, sizeof full);
    if (!control || !below(full))
        return syscall(SYS_unlinkat, folder, path, flags);
    struct point point = pass(UNLINK, class_of(full, flags & AT_REMOVEDIR));
    if (point.fails)
        return fail();
    lock();
    int done = syscall(SYS_unlinkat, folder, path, flags);
    if (done == 0)
        note(R_UNLINK, 0, 0, full, NULL, NULL, 0);
    unlock();
    return passed(&point, done);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

static int rename_in(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    char full_from[2200], full_to[2200];
    if (control) {
        resolve(from_folder, from, full_from, sizeof full_from);
        resolve(to_folder, to, full_to, sizeof full_to);
    }
    if (!control || !below(full_to))
        return syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    struct point point = pass(RENAME, class_of(full_to, 0));
    if (point.fails)
        return fail();
    lock();
    int done = syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    if (done == 0)
        note(R_RENAME, 0, 0, full_from, full_to, NULL, 0);
    unlock();
    return passed(&point, done);
}

int rename(const char *from, const char *to) { return rename_in(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_in(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return rename_in(a, from, b, to, flags); }

/* --- Sockets ----------------------------------------------------------------------------------------------------- */

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    if (!control)
        return syscall(SYS_accept4, fd, address, length, flags);
    struct point point = pass(ACCEPT, SOCKET);
    if (point.fails)
        return fail();
    return passed(&point, syscall(SYS_accept4, fd, address, length, flags));
}

int accept(int fd, struct sockaddr *address, socklen_t *length) { return accept4(fd, address, length, 0); }
