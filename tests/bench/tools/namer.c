/* namer - the name server of the lab: one thread, UDP, answers at once.
 *
 *   namer -p PORT [-l LOG]     counts of its questions go to LOG when it is ended by SIGTERM
 *
 *   dNNNN.bench        MX 10 mx.dNNNN.bench
 *   mx.dNNNN.bench     A  10.98.x.y; of every ten, number 0 at 10.97 (refuses), 1 at 10.96 (mute), 2 at 10.95 (nobody is there)
 *   2.0.0.127.listNN.bench   A 127.0.0.2, with a TXT; listNN.bench lists nobody else
 *   10.99.0.2          PTR source.bench, and back; source.bench, client.bench and sink.bench have addresses
 *   all else           NXDOMAIN, or no data of that type, with a SOA
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { A = 1, SOA = 6, PTR = 12, MX = 15, TXT = 16 };
enum { TTL = 300 };
static volatile long asked, listed;
static const char *log_to;

static void done(int s) {
    (void)s;
    if (log_to) {
        FILE *f = fopen(log_to, "w");
        if (f) { fprintf(f, "questions %ld\nlists %ld\n", asked, listed); fclose(f); }
    }
    _exit(0);
}

typedef struct { uint8_t b[512]; int l; } packet;

static void put8(packet *p, int v) { if (p->l < (int)sizeof p->b) p->b[p->l++] = v; }
static void put16(packet *p, int v) { put8(p, v >> 8); put8(p, v & 255); }
static void put_name(packet *p, const char *n) {
    while (*n) {
        int k = strcspn(n, ".");
        put8(p, k);
        for (int i = 0; i < k; i++) put8(p, n[i]);
        n += k;
        if (*n == '.') n++;
    }
    put8(p, 0);
}
/* the name of the question, type, length so far; the caller fills in the data and sets its length */
static int record(packet *p, const char *owner, int type) {
    if (owner) put_name(p, owner); else put16(p, 0xc00c);
    put16(p, type); put16(p, 1); put16(p, 0); put16(p, TTL); put16(p, 0);
    return p->l;
}
static void end(packet *p, int from) { int n = p->l - from; p->b[from - 2] = n >> 8; p->b[from - 1] = n; }
static void address(packet *p, uint32_t a) {
    int f = record(p, 0, A);
    for (int s = 24; s >= 0; s -= 8) put8(p, a >> s);
    end(p, f);
}

/* answers; -1: there is no such name */
static int answer(packet *p, const char *n, int type) {
    int number, used = 0, list;
    struct { const char *name; uint32_t at; } hosts[] = {
        {"source.bench", 0x0a630002}, {"sink.bench", 0x0a630002}, {"client.bench", 0x0a630001}, {"server.bench", 0x0a630001}};
    for (unsigned i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (!strcasecmp(n, hosts[i].name)) { if (type != A) return 0; address(p, hosts[i].at); return 1; }
    if (!strcmp(n, "2.0.99.10.in-addr.arpa")) {
        if (type != PTR) return 0;
        int f = record(p, 0, PTR);
        put_name(p, "source.bench");
        end(p, f);
        return 1;
    }
    if (sscanf(n, "d%4d.bench%n", &number, &used) == 1 && used && !n[used]) {
        if (type != MX) return 0;
        int f = record(p, 0, MX);
        put16(p, 10); put8(p, 2); put8(p, 'm'); put8(p, 'x'); put16(p, 0xc00c);
        end(p, f);
        return 1;
    }
    used = 0;
    if (sscanf(n, "mx.d%4d.bench%n", &number, &used) == 1 && used && !n[used]) {
        static const int net[10] = {97, 96, 95, 98, 98, 98, 98, 98, 98, 98};
        if (type != A) return 0;
        address(p, 10u << 24 | net[number % 10] << 16 | number);
        return 1;
    }
    used = 0;
    if (sscanf(n, "2.0.0.127.list%2d.bench%n", &list, &used) == 1 && used && !n[used]) {
        if (type == A) { address(p, 0x7f000002); return 1; }
        if (type != TXT) return 0;
        int f = record(p, 0, TXT);
        put8(p, 4); put8(p, 't'); put8(p, 'e'); put8(p, 's'); put8(p, 't');
        end(p, f);
        return 1;
    }
    return -1;
}

int main(int ac, char **av) {
    int c, port = 53;
    while ((c = getopt(ac, av, "p:l:")) != -1) { if (c == 'p') port = atoi(optarg); else if (c == 'l') log_to = optarg; else return 2; }
    signal(SIGTERM, done);
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)}, peer;
    if (s < 0 || bind(s, (void *)&here, sizeof here)) { perror("bind"); return 2; }
    for (;;) {
        uint8_t q[512];
        char n[256];
        socklen_t pl = sizeof peer;
        int l = recvfrom(s, q, sizeof q, 0, (void *)&peer, &pl), i = 12, o = 0;
        if (l < 17 || q[4] || q[5] != 1) continue;
        while (i < l && q[i] && i + 1 + q[i] < l && o + q[i] < 250) {
            if (o) n[o++] = '.';
            memcpy(n + o, q + i + 1, q[i]);
            o += q[i];
            i += 1 + q[i];
        }
        n[o] = 0;
        if (i + 5 > l || q[i]) continue;
        int type = q[i + 1] << 8 | q[i + 2];
        asked++;
        if (strstr(n, ".list")) listed++;
        packet p = {.l = 0};
        memcpy(p.b, q, i + 5);
        p.l = i + 5;
        int count = answer(&p, n, type);
        p.b[2] = 0x84 | (q[2] & 1);
        p.b[3] = count < 0 ? 3 : 0;
        p.b[6] = 0; p.b[7] = count > 0;
        p.b[8] = 0; p.b[9] = count <= 0; p.b[10] = 0; p.b[11] = 0;
        if (count <= 0) {
            int f = record(&p, "bench", SOA);
            put_name(&p, "ns.bench"); put_name(&p, "root.bench");
            for (int k = 0; k < 5; k++) { put16(&p, 0); put16(&p, TTL); }
            end(&p, f);
        }
        sendto(s, p.b, p.l, 0, (void *)&peer, pl);
    }
}
