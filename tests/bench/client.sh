#!/bin/bash
# client.sh [PEER...]: the sendmail command of each peer in client.d/, side by side. See run.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
RUNS=${RUNS:-40} STORM=${STORM:-1000}
PEERS=("$@")
[ $# -gt 0 ] || PEERS=(ours nullmailer dma postfix)

message() { # a cron job's mail of 2 KiB
    python3 - "$1" << 'END'
import sys
head = ("X-Bench-Id: @@ID@@@@@@@@@@@@@@@@\nFrom: root (Cron Daemon)\nTo: admin@sink.bench\nSubject: Cron <root@client> /usr/local/bin/nightly\n"
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n"
        "X-Cron-Env: <HOME=/root>\nX-Cron-Env: <PATH=/usr/bin:/bin>\nX-Cron-Env: <LOGNAME=root>\n\n")
line = "2024-01-01 03:00:00 nightly: processed item number 0123456789 ok, 0 warnings\n"
open(sys.argv[1], "w").write(head + line * ((2048 - len(head)) // len(line)))
END
}

NONCE=$(printf %03d $((RANDOM % 1000))) # ids differ between runs
submit() {                              # PREFIX [RUNNER OPTION...]
    in_box /bench/runner run -p "$1$NONCE" -o "/bench/$1.log" -e "/bench/$1.err" -i /bench/msg "${@:2}" -- /usr/sbin/sendmail -i -t
}
figures() { python3 "$HERE/stats.py" runs "$ROOT/bench/$1.log" "$SINK_LOG"; }
put() { # TABLE METRICS, reads "metric value" lines
    local metric value
    while read -r metric value; do [[ " $2 " == *" $metric "* ]] && emit "$1" "$metric" "$value"; done
}
restart() { peer_stop; peer_clean; peer_config "$1"; peer_start; }

paced() { # MODE SINK-ARGUMENTS: single messages with pauses
    local mode=$1 cpu
    sink_start "$mode" 25 "${@:2}"
    restart "$mode"
    submit "w$mode" -T 20 -n 5 -g 300
    sink_wait -n 5 -t 30 > /dev/null || say "$PEER $mode: warm-up not delivered: $(tail -2 "$ROOT/bench/w$mode.err")"
    sleep 1
    cpu=$(cpu_us)
    submit "$mode" -T 20 -n "$RUNS" -g 150
    sink_wait -n $((RUNS + 5)) -t 60 > /dev/null
    sleep .5
    figures "$mode" | put "client $mode" "wall_ms wall_p95_ms client_cpu_ms client_rss_kib deliver_ms lost dup"
    emit "client $mode" all_cpu_ms "$(ratio "($(cpu_us)-$cpu)/1e3" "$RUNS")"
}

storm() { # 8 submitters as fast as they can, until the sink has all, over TLS
    sink_start storm 25 "${TLS_ARGUMENTS[@]}"
    restart tls
    peak_reset
    local cpu
    cpu=$(cpu_us)
    submit storm -n "$STORM" -j 8
    sink_wait -n "$STORM" -t 240 > /dev/null
    sleep .3
    emit "client storm of 8 over TLS" msgs_per_s "$(figures storm | awk '$1=="delivered"{d=$2} $1=="total_s"{t=$2} END{printf "%.1f", t ? d/t : 0}')"
    figures storm | put "client storm of 8 over TLS" "total_s wall_ms rc lost dup"
    emit "client storm of 8 over TLS" cpu_ms_per_msg "$(ratio "($(cpu_us)-$cpu)/1e3" "$STORM")"
    emit "client storm of 8 over TLS" tls_msgs "$(awk '$5==1' "$SINK_LOG" | wc -l)"
    # shellcheck disable=SC2046 # three numbers
    set -- $(peak)
    emit "client storm of 8 over TLS" peak_rss_kib "$1"
    emit "client storm of 8 over TLS" peak_pss_kib "$3"
}

syscalls() { # of the command and its children
    sink_start strace 25
    restart plain
    sed 's/@@ID@@@@@@@@@@@@@@@@/st-0/' "$ROOT/bench/msg" > "$ROOT/bench/msg.st"
    in_box sh -c 'strace -f -c -o /bench/strace /usr/sbin/sendmail -i -t < /bench/msg.st' > /dev/null 2>&1
    emit "client calls" syscalls "$(python3 "$HERE/stats.py" strace "$ROOT/bench/strace" all 1)"
    emit "client calls" fsyncs_of_command "$(python3 "$HERE/stats.py" strace "$ROOT/bench/strace" fsync 1)"
    [ -x "$ROOT/bench/hello" ] || return
    in_box sh -c 'strace -f -c -o /bench/strace /bench/hello' > /dev/null 2>&1
    emit "client calls" syscalls_of_hello_world "$(python3 "$HERE/stats.py" strace "$ROOT/bench/strace" all 1)"
}

idle() { # TABLE
    local table=$1
    sleep 3
    # shellcheck disable=SC2046 # three numbers
    set -- $(memory)
    emit "$table" rss_kib "$1"
    emit "$table" processes "$2"
    emit "$table" pss_kib "$3"
}

waiting() { # our agent, with a queue and the relay away
    sink_stop
    submit waiting -n 1000 -j 8
    idle "client with 1000 waiting"
}

make_tools || exit 1
for p in "${PEERS[@]}"; do
    load_peer client "$p"
    make_peer || { say "$p: not installed"; continue; }
    message "$ROOT/bench/msg"
    say "== client $p"
    box_start || exit 1
    paced plain
    idle "client idle"
    [ "$PEER" != ours ] || waiting
    syscalls
    [ $TLS = yes ] && paced tls "${TLS_ARGUMENTS[@]}"
    [ $TLS = yes ] && storm
    peer_stop
    box_stop
done
