/* smtpload - SMTP sink and source that know every message by its id.
 *
 *   smtpload sink   -p PORT -l LOG -C COUNT [-c cert -k key] [-M]
 *        Accepts everything. One line per message in LOG: recv_ns id bytes rcpts tls
 *        COUNT is a small shared file with running totals for `wait`.
 *        tls: 0 clear text, 1 a handshake in full, 2 a session that was resumed.
 *        -c/-k: offer STARTTLS.  -F: no session is resumed.  -1: closes behind each message.  -M: mute, accept the connection and say nothing.
 *        -A N: instead of all addresses, those of namer.c's N domains: 10.98.* takes mail, 10.96.* is mute, the others are not listened on.
 *   smtpload wait   -C COUNT -n N [-r] -t SEC
 *        Waits until N messages (-r: N recipients) arrived; prints "messages rcpts last_ns".
 *        Exit 0 when reached, 1 on timeout.
 *   smtpload source -h IP -p PORT -s SESSIONS -n TOTAL -k PER_CONN -z BYTES -l LOG [-P PFX] [-t [-r]] [-R SEC] [-g MS] [-T SEC] [-o RATE] [-d N [-w WHICH]] [-u N] [-B N]
 *        Submits TOTAL messages; one line per message in LOG: ok_ns id start_ns tls | ERR id reply
 *        -o RATE: so many messages a second are offered, whatever becomes of them; start_ns is then when it was due, not when its turn came.
 *        -d N [-w healthy|dead]: to user@dNNNN.bench, N domains in turn, or those of them that namer.c leads to a host, or to none.
 *        -u N: from so many senders, in turn.  -B N: from so many addresses, 10.104.0.0 and the next ones.
 *        -t: STARTTLS first.  -r: each session resumes the TLS session of its last connection.  -R: on an error retry the message as a new id for up to SEC seconds. -g: pause between messages. -T: stop after SEC seconds.
 *   smtpload ping   -h IP -p PORT -t SEC           wait until the server greets with 220; prints ms
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static void die(const char *w) { perror(w); exit(2); }

/* ---- buffered connection, plain or TLS ---- */
typedef struct {
    int fd; SSL *ssl;
    char in[65536]; int ip, il;
    char out[8192]; int ol;
} conn;

static int c_read(conn *c) {
    c->ip = 0;
    c->il = c->ssl ? SSL_read(c->ssl, c->in, sizeof c->in) : read(c->fd, c->in, sizeof c->in);
    if (c->il < 0) c->il = 0;
    return c->il;
}
static int c_write(conn *c, const char *b, int l) {
    for (int o = 0; o < l;) {
        int w = c->ssl ? SSL_write(c->ssl, b + o, l - o) : send(c->fd, b + o, l - o, MSG_NOSIGNAL);
        if (w <= 0) return -1;
        o += w;
    }
    return 0;
}
static int c_flush(conn *c) { int r = c_write(c, c->out, c->ol); c->ol = 0; return r; }
static void c_say(conn *c, const char *s) {
    int l = strlen(s);
    if (c->ol + l > (int)sizeof c->out) c_flush(c);
    memcpy(c->out + c->ol, s, l); c->ol += l;
}
/* next piece of input up to and including \n; may be a partial line when the line is split */
static int c_piece(conn *c, char **p) {
    if (c->ip == c->il) {
        if (c->ol && c_flush(c)) return 0;
        if (!c_read(c)) return 0;
    }
    char *s = c->in + c->ip, *e = memchr(s, '\n', c->il - c->ip);
    int l = e ? e - s + 1 : c->il - c->ip;
    c->ip += l; *p = s;
    return l;
}
static int c_line(conn *c, char *b, int sz) {
    int l = 0; char *p;
    for (;;) {
        int k = c_piece(c, &p);
        if (!k) return 0;
        int end = p[k - 1] == '\n';
        if (k > sz - 1 - l) k = sz - 1 - l;
        memcpy(b + l, p, k); l += k; b[l] = 0;
        if (end) return l;
    }
}
static void c_close(conn *c) {
    if (c->ssl) { SSL_shutdown(c->ssl); SSL_free(c->ssl); c->ssl = 0; }
    close(c->fd);
}

/* ---- sink ---- */
typedef struct { _Atomic int64_t msgs, rcpts, last; } totals;
static totals *tot;
static int lfd = -1, mute, one_each, domains;
static SSL_CTX *ctx;

static totals *map_totals(const char *f) {
    int fd = open(f, O_RDWR | O_CREAT, 0666);
    if (fd < 0 || ftruncate(fd, sizeof(totals))) die(f);
    void *m = mmap(0, sizeof(totals), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return m == MAP_FAILED ? 0 : m;
}

static void *serve(void *arg) {
    conn *c = calloc(1, sizeof *c);
    c->fd = (int)(intptr_t)arg;
    int one = 1, rc = 0;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char l[4096];
    struct sockaddr_in me = {0};
    socklen_t ml = sizeof me;
    getsockname(c->fd, (void *)&me, &ml);
    if (mute || ntohl(me.sin_addr.s_addr) >> 16 == (10 << 8 | 96)) { while (read(c->fd, l, sizeof l) > 0); goto out; }
    c_say(c, "220 sink.bench ESMTP\r\n");
    while (c_line(c, l, sizeof l)) {
        if (!strncasecmp(l, "EHLO", 4)) {
            c_say(c, "250-sink.bench\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n");
            if (ctx && !c->ssl) c_say(c, "250-STARTTLS\r\n");
            c_say(c, "250 HELP\r\n");
        } else if (!strncasecmp(l, "STARTTLS", 8) && ctx) {
            c_say(c, "220 go\r\n");
            c_flush(c);
            c->ip = c->il = 0;
            c->ssl = SSL_new(ctx);
            SSL_set_fd(c->ssl, c->fd);
            if (SSL_accept(c->ssl) != 1) goto out;
        } else if (!strncasecmp(l, "RCPT", 4)) { rc++; c_say(c, "250 ok\r\n"); }
        else if (!strncasecmp(l, "MAIL", 4)) { rc = 0; c_say(c, "250 ok\r\n"); }
        else if (!strncasecmp(l, "DATA", 4)) {
            c_say(c, "354 go\r\n");
            int64_t bytes = 0; int bol = 1, k; char *p, id[64] = "-";
            for (;;) {
                if (!(k = c_piece(c, &p))) goto out;
                if (bol && p[0] == '.' && k <= 3 && p[k - 1] == '\n') break;
                if (bol && id[0] == '-' && k > 12 && !strncasecmp(p, "X-Bench-Id:", 11)) {
                    int i = 11, o = 0;
                    while (i < k && p[i] == ' ') i++;
                    while (i < k && o < 60 && (unsigned char)p[i] > ' ') id[o++] = p[i++];
                    id[o] = 0;
                }
                bytes += k;
                bol = p[k - 1] == '\n';
            }
            int64_t t = now();
            char rec[160];
            int n = snprintf(rec, sizeof rec, "%lld %s %lld %d %d\n", (long long)t, id, (long long)bytes, rc, c->ssl ? 1 + SSL_session_reused(c->ssl) : 0);
            if (write(lfd, rec, n) != n) die("log");
            atomic_fetch_add(&tot->rcpts, rc);
            atomic_store(&tot->last, t);
            atomic_fetch_add(&tot->msgs, 1);
            rc = 0;
            c_say(c, "250 2.0.0 ok\r\n");
            if (one_each) { c_flush(c); break; }
        } else if (!strncasecmp(l, "QUIT", 4)) { c_say(c, "221 bye\r\n"); c_flush(c); break; }
        else if (!strncasecmp(l, "AUTH", 4)) c_say(c, "235 ok\r\n");
        else c_say(c, "250 ok\r\n");
        if (c->ip == c->il && c->ol && c_flush(c)) break;
    }
out:
    c_close(c);
    free(c);
    return 0;
}

static void spawn(void *(*f)(void *), void *a, pthread_t *t) {
    pthread_attr_t at;
    pthread_t tmp;
    pthread_attr_init(&at);
    pthread_attr_setstacksize(&at, 262144);
    if (!t) pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
    if (pthread_create(t ? t : &tmp, &at, f, a)) die("pthread_create");
    pthread_attr_destroy(&at);
}

static int listener(uint32_t at, int port) {
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(at)};
    if (bind(s, (void *)&a, sizeof a) || listen(s, 1024)) die("bind");
    return s;
}
static void sink(int port) {
    struct pollfd *at = calloc(domains + 1, sizeof *at);
    int n = 0;
    if (!domains) at[n++] = (struct pollfd){listener(0, port), POLLIN, 0};
    for (int d = 0; d < domains; d++) {
        int net = d % 10 > 2 ? 98 : d % 10 == 1 ? 96 : 0;
        if (net) at[n++] = (struct pollfd){listener(10u << 24 | net << 16 | d, port), POLLIN, 0};
    }
    for (;;) {
        if (n > 1 && poll(at, n, -1) < 0) die("poll");
        for (int i = 0; i < n; i++) {
            if (n > 1 && !at[i].revents) continue;
            int f = accept(at[i].fd, 0, 0);
            if (f >= 0) spawn(serve, (void *)(intptr_t)f, 0);
            else if (errno == EMFILE) usleep(1000);
        }
    }
}

/* ---- source ---- */
static struct sockaddr_in dst;
static int sessions = 1, per = 1 << 30, size = 4096, tls, resume, retry, gap;
static long total = 1;
static int64_t stop_at = INT64_MAX;
static int64_t started;
static _Atomic long next_msg, seq, ok_count, err_count;
static double rate;
static int senders = 1, addresses;
static __thread uint32_t own; /* the address to connect from, if not 0 */
static int only; /* 1: domains with a host, 2: those without */
static const char *pfx = "s";
static char *body;
static int bodylen;

static int reply(conn *c, char *l, int sz) {
    do if (!c_line(c, l, sz)) { strcpy(l, "closed"); return 0; } while (l[3] == '-');
    return l[0] - '0';
}
static int cmd(conn *c, int want, char *l, int sz, const char *fmt, ...) {
    char b[512];
    va_list v;
    va_start(v, fmt);
    int n = vsnprintf(b, sizeof b, fmt, v);
    va_end(v);
    if (c_write(c, b, n)) { strcpy(l, "write"); return 0; }
    return reply(c, l, sz) == want;
}
/* the recipient of the message with this number */
static const char *recipient(char *b, int sz, long k) {
    if (!domains) return "user@sink.bench";
    /* of ten domains three are dead; 997 is prime to all counts in use, so that neighbours lie apart */
    long part = only == 1 ? domains * 7 / 10 : only == 2 ? domains * 3 / 10 : domains, d = k % part * 997 % part;
    if (only == 1) d = d / 7 * 10 + d % 7 + 3;
    if (only == 2) d = d / 3 * 10 + d % 3;
    snprintf(b, sz, "user@d%04ld.bench", d);
    return b;
}
static int c_open(conn *c, char *l, int sz, SSL_SESSION *before) {
    memset(c, 0, offsetof(conn, in));
    c->ip = c->il = c->ol = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct timeval tv = {60, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    if (own) {
        struct sockaddr_in me = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(own)};
        if (bind(c->fd, (void *)&me, sizeof me)) { snprintf(l, sz, "bind %s", strerror(errno)); goto bad; }
    }
    if (connect(c->fd, (void *)&dst, sizeof dst)) { snprintf(l, sz, "connect %s", strerror(errno)); goto bad; }
    if (reply(c, l, sz) != 2) goto bad;
    if (!cmd(c, 2, l, sz, "EHLO source.bench\r\n")) goto bad;
    if (tls) {
        if (!cmd(c, 2, l, sz, "STARTTLS\r\n")) goto bad;
        c->ssl = SSL_new(ctx);
        SSL_set_fd(c->ssl, c->fd);
        if (before) SSL_set_session(c->ssl, before);
        if (SSL_connect(c->ssl) != 1) { strcpy(l, "tls"); goto bad; }
        if (!cmd(c, 2, l, sz, "EHLO source.bench\r\n")) goto bad;
    }
    return 1;
bad:
    c_close(c);
    return 0;
}
static void *session(void *arg) {
    (void)arg;
    conn *c = calloc(1, sizeof *c);
    char l[4096], id[40], rec[256], *h = malloc(bodylen + 512);
    int open_ = 0, sent = 0, kind = 0;
    SSL_SESSION *before = 0;
    long k;
    char at[40], to[60], from[60];
    while (now() < stop_at && (k = atomic_fetch_add(&next_msg, 1)) < total) {
        if (addresses) own = (10u << 24 | 104 << 16) + k % addresses;
        const char *rcpt = recipient(at, sizeof at, k);
        snprintf(to, sizeof to, "RCPT TO:<%s>\r\n", rcpt);
        if (senders > 1) snprintf(from, sizeof from, "MAIL FROM:<s%ld@client.bench>\r\n", k % senders);
        else strcpy(from, "MAIL FROM:<source@client.bench>\r\n");
        int64_t due = rate > 0 ? started + (int64_t)(k / rate * 1e9) : 0, wait = due - now();
        if (due && wait > 0) { struct timespec t = {wait / 1000000000, wait % 1000000000}; nanosleep(&t, 0); }
        int64_t deadline = now() + retry * 1000000000LL;
        for (;;) {
            snprintf(id, sizeof id, "%s-%08ld", pfx, atomic_fetch_add(&seq, 1));
            int64_t t0 = due ? due : now();
            int good = 0;
            if (open_ || (open_ = c_open(c, l, sizeof l, before))) {
                int hn = snprintf(h, 400, "X-Bench-Id: %s\r\nFrom: <source@client.bench>\r\nTo: <%s>\r\n"
                    "Subject: bench %s\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <%s@client.bench>\r\n\r\n", id, rcpt, id, id);
                memcpy(h + hn, body, bodylen);
                memcpy(h + hn + bodylen, ".\r\n", 3);
                good = cmd(c, 2, l, sizeof l, "%s", from)
                    && cmd(c, 2, l, sizeof l, "%s", to)
                    && cmd(c, 3, l, sizeof l, "DATA\r\n")
                    && !c_write(c, h, hn + bodylen + 3) && reply(c, l, sizeof l) == 2;
            }
            int64_t t1 = now();
            int n;
            kind = open_ && c->ssl ? 1 + SSL_session_reused(c->ssl) : 0;
            if (good) { n = snprintf(rec, sizeof rec, "%lld %s %lld %d\n", (long long)t1, id, (long long)t0, kind); ok_count++; }
            else {
                l[strcspn(l, "\r\n")] = 0;
                n = snprintf(rec, sizeof rec, "ERR %s %.150s\n", id, l); err_count++;
                if (open_) { c_close(c); open_ = 0; }
            }
            if (write(lfd, rec, n) != n) die("log");
            if (good || now() > deadline) break;
            usleep(20000);
        }
        if (gap) usleep(gap * 1000);
        if (open_ && resume && c->ssl) { SSL_SESSION_free(before); before = SSL_get1_session(c->ssl); }   /* tickets have come by now */
        if (open_ && ++sent % per == 0) { c_write(c, "QUIT\r\n", 6); c_close(c); open_ = 0; }   /* no wait for 221: Exim delays it 0.2 s */
    }
    if (open_) { c_write(c, "QUIT\r\n", 6); c_close(c); }
    free(c);
    return 0;
}

int main(int ac, char **av) {
    if (ac < 2) return 2;
    const char *mode = av[1], *log = "/dev/stdout", *cf = 0, *cert = 0, *key = 0, *host = "127.0.0.1";
    int c, port = 25, byr = 0, full = 0; double tsec = 0;
    optind = 2;
    int is_src = !strcmp(mode, "source");
    while ((c = getopt(ac, av, is_src ? "h:p:s:n:k:z:l:P:trR:g:T:o:d:w:u:B:" : "h:p:l:C:c:k:MF1n:rt:A:")) != -1) switch (c) {
        case 'h': host = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 's': sessions = atoi(optarg); break;
        case 'n': total = atol(optarg); break;
        case 'k': if (is_src) per = atoi(optarg) ? atoi(optarg) : 1 << 30; else key = optarg; break;
        case 'z': size = atoi(optarg); break;
        case 'l': log = optarg; break;
        case 'P': pfx = optarg; break;
        case 'T': stop_at = now() + (int64_t)(atof(optarg) * 1e9); break;
        case 'g': gap = atoi(optarg); break;
        case 'R': retry = atoi(optarg); break;
        case 't': if (is_src) tls = 1; else tsec = atof(optarg); break;
        case 'C': cf = optarg; break;
        case 'c': cert = optarg; break;
        case 'M': mute = 1; break;
        case 'r': byr = resume = 1; break;
        case 'F': full = 1; break;
        case '1': one_each = 1; break;
        case 'A': case 'd': domains = atoi(optarg); break;
        case 'B': addresses = atoi(optarg); break;
        case 'u': senders = atoi(optarg); break;
        case 'o': rate = atof(optarg); break;
        case 'w': only = optarg[0] == 'h' ? 1 : 2; break;
        default: return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    dst.sin_family = AF_INET; dst.sin_port = htons(port); dst.sin_addr.s_addr = inet_addr(host);
    if (!strcmp(mode, "sink") || is_src) {
        lfd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
        if (lfd < 0) die(log);
    }
    if (!strcmp(mode, "sink")) {
        if (!cf) return 2;
        tot = map_totals(cf);
        if (cert) {
            ctx = SSL_CTX_new(TLS_server_method());
            if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
                ERR_print_errors_fp(stderr); return 2;
            }
            if (full) { SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET); SSL_CTX_set_num_tickets(ctx, 0); SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); }
        }
        sink(port);
    }
    if (!strcmp(mode, "wait")) {
        tot = map_totals(cf);
        int64_t end = now() + (int64_t)(tsec * 1e9);
        int ok;
        while (!(ok = (byr ? tot->rcpts : tot->msgs) >= total) && now() < end) usleep(1000);
        printf("%lld %lld %lld\n", (long long)tot->msgs, (long long)tot->rcpts, (long long)tot->last);
        return !ok;
    }
    if (!strcmp(mode, "ping")) {
        int64_t t0 = now();
        char l[512];
        conn *k = calloc(1, sizeof *k);
        do { if (c_open(k, l, sizeof l, 0)) { printf("%.1f\n", (now() - t0) / 1e6); return 0; } usleep(2000); } while (now() - t0 < tsec * 1e9);
        return 1;
    }
    pthread_t *t = calloc(sessions, sizeof *t);
    int64_t t0 = now();
    if (is_src) {
        if (tls) { ctx = SSL_CTX_new(TLS_client_method()); SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, 0); SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); }
        body = malloc(size + 80);
        while (bodylen + 74 <= size) { memset(body + bodylen, 'a' + bodylen / 74 % 26, 72); memcpy(body + bodylen + 72, "\r\n", 2); bodylen += 74; }
        started = now();
        for (int i = 0; i < sessions; i++) spawn(session, 0, t + i);
        for (int i = 0; i < sessions; i++) pthread_join(t[i], 0);
        printf("%ld %ld %lld %lld\n", (long)ok_count, (long)err_count, (long long)t0, (long long)now());
        return 0;
    }
    return 2;
}
