#!/bin/bash
# smarthost.sh [PEER...]: the relays in smarthost.d/ side by side: source → PEER:25 → sink:2525, messages of 4 KiB. See run.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
MESSAGES=${MESSAGES:-10000} LOAD_S=${LOAD_S:-8} GROW=${GROW:-50000} GROW_S=${GROW_S:-30} DRAIN_S=${DRAIN_S:-20}
PEERS=("$@")
[ $# -gt 0 ] || PEERS=(ours postfix opensmtpd)

source_of() { # NAME [ARGUMENT...]
    SOURCE_LOG=$W/tools/io/$KIND.$PEER.$1.src
    rm -f "$SOURCE_LOG"
    local patience=()
    [ $DURABLE = yes ] || patience=(timeout "$LOAD_S") # some of its sessions hang until they time out
    outside "${patience[@]}" /bench/smtpload source -h $SERVER -l "/io/$KIND.$PEER.$1.src" -P "$1" -z 4096 "${@:2}" > /dev/null
}
figures() { python3 "$HERE/stats.py" load "$SOURCE_LOG" "$SINK_LOG" "${1:-0}"; }
put() {
    local metric value
    while read -r metric value; do [[ " $2 " == *" $metric "* ]] && emit "$1" "$metric" "$value"; done
}
accepted() { grep -vc '^ERR' "$SOURCE_LOG"; }
greeting() { outside /bench/smtpload ping -h $SERVER -t 60; }
fresh() { peer_stop; peer_clean; peer_config "$1"; peer_start; greeting > /dev/null || say "$PEER does not answer"; }
KEEP="accepted errors error_text accept_per_s deliver_per_s accept_ms lost dup"
SINK_MORE=()

load() { # TABLE MODE SESSIONS PER-CONNECTION SOURCE-ARGUMENTS: 0 per connection means all
    local table=$1 mode=$2 sessions=$3 per=$4 cpu count
    if [ "$mode" = tls ]; then sink_start load 2525 "${TLS_ARGUMENTS[@]}" "${SINK_MORE[@]}"; else sink_start load 2525; fi
    fresh "$mode"
    source_of warm -n 20 -s 2 -k 1 "${@:5}"
    sink_wait -n 20 -t 20 > /dev/null || say "$PEER: warm-up not delivered"
    sleep .5
    peak_reset
    cpu=$(cpu_us)
    source_of main -n "$MESSAGES" -s "$sessions" -k "$per" -T "$LOAD_S" "${@:5}"
    count=$(($(accepted) + 20))
    if [ $DURABLE = yes ]; then
        sink_wait -n $count -t 60 > /dev/null || { peer_flush > /dev/null 2>&1; sink_wait -n $count -t 60 > /dev/null; }
        figures | put "$table" "${METRICS:-$KEEP}"
        emit "$table" cpu_ms_per_msg "$(ratio "($(cpu_us)-$cpu)/1e3" $((count - 20)))"
    fi
    # shellcheck disable=SC2046 # three numbers
    set -- $(peak)
    emit "$table" peak_rss_kib "$1"
    emit "$table" peak_processes "$2"
    emit "$table" peak_pss_kib "$3"
}

handshakes() { # a TLS connection a message, on one side and then on the other, in full and resumed
    local MESSAGES=$((MESSAGES / 4)) METRICS="$KEEP resumed_in_percent" table="smarthost 20 sessions over TLS, a connection a message"
    load "$table in, full" tls 20 1 -t
    load "$table in, resumed" tls 20 1 -t -r
    METRICS="$KEEP resumed_out_percent"
    SINK_MORE=(-1 -F)
    load "$table out, full" tls 20 0
    SINK_MORE=(-1)
    load "$table out, resumed" tls 20 0
    SINK_MORE=()
}

idle() {
    fresh plain
    sleep 3
    # shellcheck disable=SC2046 # three numbers
    set -- $(memory)
    emit "smarthost idle" rss_kib "$1"
    emit "smarthost idle" processes "$2"
    emit "smarthost idle" pss_kib "$3"
}

syncs() { # strace attached: counts only
    local sessions count=300 pids tracer
    for sessions in 1 50; do
        sink_start syncs 2525
        fresh plain
        pids=$(sed 's/^/-p /' "$CGROUP/cgroup.procs")
        # shellcheck disable=SC2086 # a list of arguments
        strace -f -c -o "$ROOT/bench/strace" $pids 2> /dev/null &
        tracer=$!
        sleep 1
        source_of main -n $count -s $sessions -k 0
        sink_wait -n $count -t 60 > /dev/null
        sleep 1
        kill -INT $tracer
        wait $tracer 2> /dev/null
        emit "smarthost calls" "fsyncs_per_msg_s$sessions" "$(python3 "$HERE/stats.py" strace "$ROOT/bench/strace" fsync $count)"
        emit "smarthost calls" "syscalls_per_msg_s$sessions" "$(python3 "$HERE/stats.py" strace "$ROOT/bench/strace" all $count)"
    done
}

growth() { # the sink is down: how does a full queue change the accept rate, the restart, the listing; then the drain
    local table="smarthost without its sink, $GROW messages offered in at most $GROW_S s" start count
    sink_start grow 2525
    fresh plain
    sink_stop
    peak_reset
    source_of grow -n "$GROW" -s 50 -k 0 -T "$GROW_S"
    count=$(accepted)
    figures $((count / 5)) | put "$table" "accepted errors accept_per_s first_fifth_per_s last_fifth_per_s"
    # shellcheck disable=SC2046 # three numbers
    set -- $(memory)
    emit "$table" rss_kib "$1"
    emit "$table" queue_disk_mib "$(du -sm "$ROOT/var/spool" | cut -f1)"
    start=$(now_ns)
    peer_mailq > "$W/mailq.out" 2>&1
    emit "$table" mailq_s "$(ratio "$(now_ns)-$start" 1e9)"
    peer_stop
    start=$(now_ns)
    peer_start
    greeting > /dev/null
    emit "$table" restart_to_greeting_s "$(ratio "$(now_ns)-$start" 1e9)"
    sink_again 2525
    start=$(now_ns)
    peer_flush > /dev/null 2>&1
    # shellcheck disable=SC2046 # three numbers
    set -- $(sink_wait -n "$count" -t "$DRAIN_S")
    emit "$table" drained_in_time "$1"
    emit "$table" drain_per_s "$(ratio "$1" "($3-$start)/1e9")"
    figures | put "$table" dup
}

make_tools || exit 1
for p in "${PEERS[@]}"; do
    load_peer smarthost "$p"
    make_peer || { say "$p: not installed"; continue; }
    say "== smarthost $p"
    box_start || exit 1
    idle
    load "smarthost 200 sessions" plain 200 0
    if [ $DURABLE = yes ]; then
        load "smarthost 50 sessions" plain 50 0
        load "smarthost 50 sessions, a connection a message" plain 50 1
        load "smarthost 50 sessions over TLS" tls 50 0 -t
        handshakes
        syncs
        growth
    fi
    peer_stop
    box_stop
done
