/* runner - static helper that lives inside a peer's chroot.
 *
 *   runner init                     PID 1 of the box: reap orphans for ever
 *   runner run [opts] -- cmd args   start cmd N times, stdin = message, log each run
 *        -n N      number of runs                 (1)
 *        -j J      parallel submitters            (1)
 *        -g MS     pause between runs             (0)
 *        -i FILE   message; the 20 bytes @@ID@@@@@@@@@@@@@@@@ in its first 4 KiB are replaced per run
 *        -p PFX    prefix of the ids              (m)
 *        -o FILE   log: id start_ns end_ns rc user_us sys_us maxrss_kb   (append)
 *        -e FILE   stdout+stderr of cmd           (/dev/null)
 *        -T SEC    kill a run after SEC seconds, rc is then 999 (120)
 *        -u UID    run cmd as this uid/gid        (0)
 *   runner rss PROCS OUT            every 100 ms: sum the RSS (every 1 s: the PSS) of the pids in cgroup
 *                                   file PROCS; OUT = "peak_rss_kb peak_processes peak_pss_kb"
 *   runner flush DIR N              N times in a row: a block is written over, and fdatasync; prints the mean, ms
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MARK "@@ID@@@@@@@@@@@@@@@@"
enum { MARKLEN = 20 };

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static void die(const char *w) { perror(w); exit(2); }

static int n = 1, jobs = 1, gap, tmo = 120, uid, logfd = 1;
static const char *pfx = "m", *errf = "/dev/null";
static int msgfd;
static off_t msglen, markoff = -1;

static void one(int worker, int i, char **cmd) {
    char id[64];
    int idl = snprintf(id, 40, "%.8s-%02d-%06d", pfx, worker, i);
    memset(id + idl, '-', MARKLEN - idl > 0 ? MARKLEN - idl : 0);
    id[MARKLEN] = 0;
    int in = memfd_create("msg", 0);
    if (in < 0) die("memfd");
    /* copied inside the kernel: our own RSS would otherwise show up in the child's ru_maxrss */
    for (off_t o = 0; o < msglen;) if (sendfile(in, msgfd, &o, msglen - o) <= 0) die("sendfile");
    if (markoff >= 0 && pwrite(in, id, MARKLEN, markoff) != MARKLEN) die("pwrite");
    lseek(in, 0, SEEK_SET);
    int err = open(errf, O_WRONLY | O_CREAT | O_APPEND, 0666);
    int64_t t0 = now();
    pid_t p = vfork();
    if (p == 0) {
        dup2(in, 0); dup2(err, 1); dup2(err, 2);
        close(in); close(err);
        if (uid) { if (setgroups(0, 0) | setgid(uid) | setuid(uid)) _exit(127); }
        execv(cmd[0], cmd);
        _exit(127);
    }
    if (p < 0) die("vfork");
    int pfd = syscall(SYS_pidfd_open, p, 0), rc = 0;
    struct pollfd pf = {pfd, POLLIN, 0};
    int timed_out = poll(&pf, 1, tmo * 1000) == 0;
    if (timed_out) kill(p, SIGKILL);
    int st; struct rusage ru;
    if (wait4(p, &st, 0, &ru) < 0) die("wait4");
    int64_t t1 = now();
    close(pfd); close(in); close(err);
    rc = timed_out ? 999 : WIFEXITED(st) ? WEXITSTATUS(st) : 1000 + WTERMSIG(st);
    char line[256];
    int l = snprintf(line, sizeof line, "%s %lld %lld %d %lld %lld %ld\n", id, (long long)t0, (long long)t1, rc,
        ru.ru_utime.tv_sec * 1000000LL + ru.ru_utime.tv_usec,
        ru.ru_stime.tv_sec * 1000000LL + ru.ru_stime.tv_usec, ru.ru_maxrss);
    if (write(logfd, line, l) != l) die("log");
    if (gap) usleep(gap * 1000);
}

int main(int ac, char **av) {
    if (ac > 1 && !strcmp(av[1], "init")) {
        signal(SIGTERM, SIG_DFL);
        for (;;) if (wait(0) < 0) usleep(20000);
    }
    if (ac > 3 && !strcmp(av[1], "flush")) {
        char p[256], block[4096] = {0};
        int times = atoi(av[3]), f;
        snprintf(p, sizeof p, "%s/flush.probe", av[2]);
        if ((f = open(p, O_RDWR | O_CREAT | O_TRUNC, 0600)) < 0) die("probe");
        unlink(p);
        if (pwrite(f, block, sizeof block, 0) < 0 || fsync(f)) die("probe");
        int64_t begun = now();
        for (int i = 0; i < times; i++) if (pwrite(f, block, sizeof block, 0) < 0 || fdatasync(f)) die("probe");
        printf("%.3f\n", (now() - begun) / 1e6 / times);
        return 0;
    }
    if (ac > 3 && !strcmp(av[1], "rss")) {
        long peak = 0, np = 0, ppeak = 0;
        for (int tick = 0;; tick++, usleep(100000)) {
            FILE *f = fopen(av[2], "r");
            long sum = 0, cnt = 0, psum = 0, pid;
            if (!f) return 0;
            while (fscanf(f, "%ld", &pid) == 1) {
                char p[64], l[128];
                long vm, rss;
                snprintf(p, sizeof p, "/proc/%ld/comm", pid);
                FILE *s = fopen(p, "r");
                if (!s) continue;
                int known = fgets(l, sizeof l, s) != 0;
                fclose(s);
                if (!known || !strcmp(l, "nsenter\n")) continue;   /* ours, not the peer's */
                snprintf(p, sizeof p, "/proc/%ld/statm", pid);
                if (!(s = fopen(p, "r"))) continue;
                if (fscanf(s, "%ld %ld", &vm, &rss) == 2) { sum += rss * 4; cnt++; }
                fclose(s);
                if (tick % 10 != 5) continue;          /* PSS is dearer to read: once a second */
                snprintf(p, sizeof p, "/proc/%ld/smaps_rollup", pid);
                if (!(s = fopen(p, "r"))) continue;
                while (fgets(l, sizeof l, s)) if (!strncmp(l, "Pss:", 4)) { psum += atol(l + 4); break; }
                fclose(s);
            }
            fclose(f);
            if (sum > peak || cnt > np || psum > ppeak) {
                if (sum > peak) peak = sum;
                if (cnt > np) np = cnt;
                if (psum > ppeak) ppeak = psum;
                FILE *o = fopen(av[3], "w");
                fprintf(o, "%ld %ld %ld\n", peak, np, ppeak);
                fclose(o);
            }
        }
    }
    if (ac < 2 || strcmp(av[1], "run")) { fprintf(stderr, "usage: see runner.c\n"); return 2; }
    int c; const char *mf = 0;
    optind = 2;
    while ((c = getopt(ac, av, "+n:j:g:i:p:o:e:T:u:")) != -1) switch (c) {
        case 'n': n = atoi(optarg); break;
        case 'j': jobs = atoi(optarg); break;
        case 'g': gap = atoi(optarg); break;
        case 'i': mf = optarg; break;
        case 'p': pfx = optarg; break;
        case 'o': logfd = open(optarg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644); break;
        case 'e': errf = optarg; break;
        case 'T': tmo = atoi(optarg); break;
        case 'u': uid = atoi(optarg); break;
        default: return 2;
    }
    if (!mf || optind >= ac) return 2;
    struct stat sb;
    char head[4096];
    msgfd = open(mf, O_RDONLY | O_CLOEXEC);
    if (msgfd < 0 || fstat(msgfd, &sb)) die(mf);
    msglen = sb.st_size;
    ssize_t hl = pread(msgfd, head, sizeof head, 0);
    char *m = hl > 0 ? memmem(head, hl, MARK, MARKLEN) : 0;
    if (m) markoff = m - head;
    if (jobs == 1) { for (int i = 0; i < n; i++) one(0, i, av + optind); return 0; }
    for (int j = 0; j < jobs; j++) {
        pid_t p = fork();
        if (!p) { for (int i = j; i < n; i += jobs) one(j, i, av + optind); _exit(0); }
    }
    while (wait(0) > 0);
    return 0;
}
