# shellcheck shell=bash disable=SC2034,SC2317
# Chroots, boxes (namespaces), the sink, and what is measured in them. Needs root, Debian with a package mirror, a cgroup (v1 cpuacct or v2).
#
#   base     = debootstrap minbase + strace           (in $BENCH_WORK, kept between runs)
#   tools    = base + compiler + the two programs of tools/
#   KIND.PEER = base + the peer's packages
#   a box    = PID, mount, network, IPC and UTS namespaces of a peer's chroot, in a cgroup, so that the CPU of every short-lived process counts; a
#              veth pair joins it to a namespace with sink and source. No DNS, no syslog daemon, the same for everybody.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
W=${BENCH_WORK:=/var/tmp/mail-bench}
RESULTS=${BENCH_RESULTS:=$W/results.tsv}
SERVER=10.99.0.1 # the box
RELAY=10.99.0.2  # sink and source
SUITE=bookworm
mkdir -p "$W"

say() { echo "[$(date +%T)] $*" >&2; }
emit() { printf '%s\t%s\t%s\t%s\n' "$1" "$PEER" "$2" "$3" | tee -a "$RESULTS" >&2; } # table metric value
ratio() { python3 -c "print(round(($1)/(($2) or 1),3))"; }
now_ns() { python3 -c 'import time; print(time.monotonic_ns())'; }

# ---- chroots ----

apt_in() { # CHROOT PACKAGE...
    local root=$1
    shift
    # some maintainer scripts want a host name that the chroot's /etc/hosts knows
    unshare --uts sh -c 'hostname client.bench && exec chroot "$@"' sh "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -y -q --no-install-recommends install "$@"
}

make_base() {
    [ -e "$W/base/.done" ] && return
    command -v debootstrap > /dev/null || { apt-get -q update && apt-get -y -q install debootstrap; } > "$W/apt.log" 2>&1
    local mirror
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null | grep -oE 'https?://[^ ]*debian/?( |$)' | head -1)
    debootstrap --variant=minbase --include=strace $SUITE "$W/base" "${mirror:?no Debian mirror in the apt sources}" > "$W/debootstrap.log" || return 1
    cp /etc/apt/sources.list.d/debian.sources "$W/base/etc/apt/sources.list.d/" 2> /dev/null && : > "$W/base/etc/apt/sources.list"
    cp /etc/apt/apt.conf.d/99* "$W/base/etc/apt/apt.conf.d/" 2> /dev/null
    cp /etc/resolv.conf "$W/base/etc/"
    printf '#!/bin/sh\nexit 101\n' > "$W/base/usr/sbin/policy-rc.d"
    chmod +x "$W/base/usr/sbin/policy-rc.d"
    chroot "$W/base" apt-get -q update >> "$W/apt.log" 2>&1
    mkdir -p "$W/base/bench"
    touch "$W/base/.done"
}

make_tools() {
    make_base || return 1
    if [ ! -e "$W/tools/.done" ]; then
        cp -a "$W/base" "$W/tools"
        rm "$W/tools/.done"
        apt_in "$W/tools" gcc libc6-dev libssl-dev openssl >> "$W/apt.log" 2>&1 || return 1
        mkdir -p "$W/tools/io"
        chroot "$W/tools" openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=relay.bench \
            -addext "subjectAltName=DNS:relay.bench,IP:$RELAY" -keyout /io/key.pem -out /io/cert.pem 2> /dev/null
        touch "$W/tools/.done"
    fi
    if ! cat "$HERE"/tools/*.c | cmp -s - "$W/tools/bench/built"; then
        cp "$HERE"/tools/*.c "$W/tools/bench/"
        chroot "$W/tools" sh -c 'cd bench && gcc -O2 -static -o runner.new runner.c && gcc -O2 -o load.new smtpload.c -lssl -lcrypto -lpthread &&
            gcc -O2 -o namer namer.c && mv runner.new runner && mv load.new smtpload && cat *.c > built' || return 1
    fi
    # AA:BB:… of the sink's certificate
    FINGERPRINT=$(chroot "$W/tools" openssl x509 -in /io/cert.pem -noout -fingerprint -sha256 | cut -d= -f2)
}

load_peer() { # KIND NAME: defaults, then the peer's own file
    KIND=$1 PEER=$2 PKGS='' PRESEED='' TLS=yes DURABLE=yes
    ROOT=$W/$KIND.$PEER
    peer_install() { :; }          # after the packages
    peer_config() { :; }           # plain | tls | mx | stranger | chain (see rules): writes the configuration below $ROOT
    peer_start() { :; }
    peer_stop() { kill_box; }
    peer_clean() { :; }            # empties the queue
    peer_flush() { :; }
    peer_mailq() { :; }
    # shellcheck source=/dev/null
    . "$HERE/$KIND.d/$PEER.sh"
}

make_peer() { # a copy of base with the peer's packages
    if [ ! -e "$ROOT/.done" ]; then
        say "installing $KIND $PEER"
        rm -rf "$ROOT"
        cp -a "$W/base" "$ROOT"
        rm "$ROOT/.done"
        printf '%s\n' "127.0.0.1 localhost" "$SERVER client.bench client" "$RELAY relay.bench sink.bench" > "$ROOT/etc/hosts"
        echo client.bench > "$ROOT/etc/hostname"
        echo client.bench > "$ROOT/etc/mailname"
        [ -z "$PRESEED" ] || echo "$PRESEED" | chroot "$ROOT" debconf-set-selections
        # shellcheck disable=SC2086 # a list of packages
        [ -z "$PKGS" ] || apt_in "$ROOT" $PKGS > "$W/apt.$KIND.$PEER.log" 2>&1 || return 1
        : > "$ROOT/etc/resolv.conf"
        touch "$ROOT/.done"
    fi
    rm -f "$ROOT"/bench/*.log "$ROOT"/bench/*.err
    install -m 755 "$W/tools/bench/runner" "$W/tools/io/cert.pem" "$ROOT/bench/"
    install -m 644 "$W/tools/io/key.pem" "$ROOT/bench/"
    chmod 777 "$ROOT/bench"
    peer_install
}

# ---- boxes ----

box_start() {
    unshare --pid --mount --net --ipc --uts --fork --kill-child --root="$ROOT" --mount-proc=/proc /bench/runner init 2> /dev/null &
    UNSHARE=$!
    unshare --net sleep infinity &
    OUTSIDE=$!
    BOX=
    local _
    for _ in $(seq 200); do
        BOX=$(ps -o pid= --ppid "$UNSHARE" | tr -d ' ')
        [ -n "$BOX" ] && [ "$(tr '\0' ' ' < "/proc/$BOX/cmdline")" = "/bench/runner init " ] && break
        sleep .02
    done
    [ -n "$BOX" ] || { say "box did not start"; return 1; }
    local d
    for d in /sys/fs/cgroup/cpuacct /sys/fs/cgroup; do
        [ -e $d/cgroup.procs ] && { CGROUP=$d/mailbench.$BOX; mkdir "$CGROUP"; break; }
    done
    local port=pb$BOX
    ip link add "$port" type veth peer name eth0 netns "$BOX"
    ip link set "$port" netns "$OUTSIDE"
    nsenter -t "$BOX" -n sh -c "ip link set lo up; ip addr add $SERVER/24 dev eth0; ip link set eth0 up"
    nsenter -t "$OUTSIDE" -n sh -c "ip link set lo up; ip link set $port name eth0; ip addr add $RELAY/24 dev eth0; ip link set eth0 up"
    in_box hostname client.bench
    SAMPLER=
    peak_reset
}

box_stop() {
    sink_stop
    kill -9 "$BOX" "$OUTSIDE" "$SAMPLER" 2> /dev/null
    wait "$UNSHARE" "$OUTSIDE" "$SAMPLER" 2> /dev/null
    local _
    for _ in $(seq 50); do rmdir "$CGROUP" 2> /dev/null && break; sleep .1; done
    BOX=
}

in_box() { (echo "$BASHPID" > "$CGROUP/cgroup.procs"; exec nsenter -t "$BOX" -m -p -n -i -u -r -w -- "$@"); }
outside() { nsenter -t "$OUTSIDE" -n chroot "$W/tools" "$@"; }

kill_box() {
    local _ pids
    for _ in $(seq 100); do
        pids=$(cat "$CGROUP/cgroup.procs")
        [ -z "$pids" ] && break
        # shellcheck disable=SC2086 # a list of pids
        kill -9 $pids 2> /dev/null
        sleep .02
    done
}

cpu_us() {
    if [ -e "$CGROUP/cpuacct.usage" ]; then echo $(($(cat "$CGROUP/cpuacct.usage") / 1000)); else awk '/usage_usec/{print $2}' "$CGROUP/cpu.stat"; fi
}
peak_reset() {
    [ -z "$SAMPLER" ] || { kill "$SAMPLER"; wait "$SAMPLER" 2> /dev/null; }
    rm -f "$W/peak.$KIND.$PEER"
    "$W/tools/bench/runner" rss "$CGROUP/cgroup.procs" "$W/peak.$KIND.$PEER" &
    SAMPLER=$!
}
peak() { cat "$W/peak.$KIND.$PEER" 2> /dev/null || echo 0 0 0; } # RSS sum in KiB, processes, PSS sum in KiB
memory() {                                                       # the same of what runs now
    local pid
    while read -r pid; do
        [ "$(cat "/proc/$pid/comm" 2> /dev/null)" != nsenter ] || continue # ours, not the peer's
        awk '/^Rss/{r=$2} /^Pss:/{s=$2} END{print 1, r+0, s+0}' "/proc/$pid/smaps_rollup" 2> /dev/null
    done < "$CGROUP/cgroup.procs" | awk '{n+=$1; r+=$2; s+=$3} END{print r+0, n+0, s+0}'
}

# ---- the sink ----

SINK=
TLS_ARGUMENTS=(-c /io/cert.pem -k /io/key.pem)
sink_start() { # NAME PORT [ARGUMENT...]
    sink_stop
    SINK_NAME=$KIND.$PEER.$1 SINK_LOG=$W/tools/io/$KIND.$PEER.$1.log
    rm -f "$W/tools/io/$SINK_NAME.cnt"
    : > "$SINK_LOG"
    sink_again "${@:2}"
}
sink_again() {
    # not through a function: $! must be the sink itself
    nsenter -t "$OUTSIDE" -n chroot "$W/tools" /bench/smtpload sink -p "$1" -l "/io/$SINK_NAME.log" -C "/io/$SINK_NAME.cnt" "${@:2}" &
    SINK=$!
    sleep .2
}
sink_stop() { [ -z "$SINK" ] || { kill -9 "$SINK"; wait "$SINK"; } 2> /dev/null; SINK=; }
sink_wait() { outside /bench/smtpload wait -C "/io/$SINK_NAME.cnt" "$@"; } # -n N -t SECONDS; prints messages, recipients, time of the last

# ---- a slow disk: tests/disk below a loop device, in memory, ext4 on it, in the place of the peer's /var/spool ----

DISK_PID=
disk_says() { # ORDER: its answer
    local answer
    echo "$1" >&"${DISK[1]}"
    read -r answer <&"${DISK[0]}"
    echo "${answer#ok}" | tr -d ' '
}
disk_start() {
    local holder device
    peer_stop
    mkdir -p "$W/disk" "$ROOT/mnt"
    coproc DISK { exec "$OURS/disk" "$W/disk" 4096; }
    read -r _ holder <&"${DISK[0]}" || { say "no disk: it needs /dev/fuse"; return 1; }
    device=$(nsenter "--mount=/proc/$holder/ns/mnt" losetup --find --show --direct-io=on "$W/disk/image") || return 1
    mkfs.ext4 -q -E nodiscard "$device" || return 1
    nsenter -t "$BOX" -m sh -ec 'mount "$0" "$1/mnt"; cp -a "$1/var/spool/." "$1/mnt"; umount "$1/mnt"; mount "$0" "$1/var/spool"' "$device" "$ROOT"
    losetup --detach "$device" # with its last user
}
disk_stop() {
    peer_stop
    nsenter -t "$BOX" -m umount "$ROOT/var/spool"
    kill "$DISK_PID"
    wait "$DISK_PID" 2> /dev/null
}

# ---- the lab: a thousand domains, and a name server ----

NAMER=
lab_start() {
    local net
    for net in 96 97 98; do nsenter -t "$OUTSIDE" -n ip route add local 10.$net.0.0/16 dev lo; done
    for net in 95 96 97 98; do nsenter -t "$BOX" -n ip route add 10.$net.0.0/16 via $RELAY; done
    nsenter -t "$OUTSIDE" -n chroot "$W/tools" /bench/namer -l /io/namer &
    NAMER=$!
}
lab_stop() {
    local net
    kill "$NAMER"
    wait "$NAMER" 2> /dev/null
    NAMER=
    for net in 96 97 98; do nsenter -t "$OUTSIDE" -n ip route del local 10.$net.0.0/16 dev lo; done
    for net in 95 96 97 98; do nsenter -t "$BOX" -n ip route del 10.$net.0.0/16 via $RELAY; done
}

cleanup() { [ -z "${BOX:-}" ] || box_stop; }
BOX=
trap cleanup EXIT
trap 'exit 130' INT TERM
