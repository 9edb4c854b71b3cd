#!/bin/bash
# smarthost.sh [PEER...]: the relays in smarthost.d/ side by side: source → PEER:25 → sink:2525, messages of 4 KiB. See run.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
MESSAGES=${MESSAGES:-10000} LOAD_S=${LOAD_S:-8} GROW=${GROW:-50000} GROW_S=${GROW_S:-30} DRAIN_S=${DRAIN_S:-20} MILLION=${MILLION:-1000000} MILLION_Z=${MILLION_Z:-4096} PART=${PART:-20000} CLIENTS=${CLIENTS:-100000} BUDGETS=${BUDGETS:-2000} OFFERED=${OFFERED:-50 100 200 400 800 1600} ROUNDS=${ROUNDS:-3} FLUSH_MS=${FLUSH_MS:-1 5 20} FLUSH_SESSIONS=${FLUSH_SESSIONS:-1 8 64 256} BURST_S=${BURST_S:-60} REST_S=${REST_S:-35}
STAGES=${STAGES:-idle rates sizes latency rules destinations handshakes syncs growth}
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
    local table=$1 mode=$2 sessions=$3 per=$4 cpu count flushed
    if [ "$mode" = tls ]; then sink_start load 2525 "${TLS_ARGUMENTS[@]}" "${SINK_MORE[@]}"; else sink_start load 2525; fi
    fresh "$mode"
    source_of warm -n 20 -s 2 -k 1 "${@:5}"
    sink_wait -n 20 -t 20 > /dev/null || say "$PEER: warm-up not delivered"
    sleep .5
    peak_reset
    [ -z "${DISK_PID:-}" ] || flushed=$(disk_says flushes)
    cpu=$(cpu_us)
    source_of main -n "$MESSAGES" -s "$sessions" -k "$per" -T "$LOAD_S" "${@:5}"
    # with those of the deliveries until then
    [ -z "${DISK_PID:-}" ] || emit "$table" flushes_per_msg "$(ratio "$(disk_says flushes)-$flushed" "$(accepted)")"
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

rates() {
    load "smarthost 200 sessions" plain 200 0
    [ $DURABLE = yes ] || return 0
    local sessions
    load "smarthost 50 sessions" plain 50 0
    for sessions in 1 10; do load "smarthost $sessions sessions" plain $sessions 0; done
    load "smarthost 50 sessions, a connection a message" plain 50 1
    load "smarthost 50 sessions over TLS" tls 50 0 -t
}

sizes() {
    local all=$MESSAGES MESSAGES
    MESSAGES=$((all / 5))
    load "smarthost 10 sessions, 100 KiB" plain 10 0 -z 102400
    MESSAGES=$((all / 100))
    load "smarthost 10 sessions, 5 MiB" plain 10 0 -z 5242880
}

latency() { # as many messages a second as are offered, whatever becomes of them: how long each takes
    local rate METRICS="accepted errors error_text lost dup accept_p50_ms accept_p99_ms accept_p999_ms deliver_p50_ms deliver_p99_ms deliver_p999_ms"
    for rate in $OFFERED; do MESSAGES=$((rate * LOAD_S)) LOAD_S=$((LOAD_S * 3)) load "smarthost, $rate a second offered" plain 100 0 -o "$rate"; done
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

flushes() { # mail in queues on a disk whose flush takes its time, the same for everybody
    local METRICS="accepted errors error_text accept_per_s accept_ms lost dup" delay sessions table ideal
    disk_start || return 1
    for delay in $FLUSH_MS; do
        disk_says "flush $delay" > /dev/null
        for sessions in $FLUSH_SESSIONS; do
            table="smarthost, a flush takes $delay ms, $sessions sessions"
            # what one thread that syncs could do on this machine at that moment, with half of the sessions in each flush
            ideal=$(in_box /bench/runner flush /var/spool 25)
            load "$table" plain "$sessions" 0
            ideal=$(ratio "(1 if $sessions == 1 else $sessions / 2)" "(($ideal + $(in_box /bench/runner flush /var/spool 25)) / 2e3)")
            emit "$table" ideal_per_s "$ideal"
        done
    done
    disk_stop
}

growth() { # the sink is down: how does a full queue change the accept rate, the restart, the listing; then the drain
    local table="smarthost without its sink, $GROW messages offered in at most $GROW_S s" start count
    sink_start grow 2525
    fresh plain
    sink_stop
    peak_reset
    source_of grow -n "$GROW" -s 50 -k 0 -T "$GROW_S"
    count=$(accepted)
    figures $((count / 5)) | put "$table" "accepted errors accept_per_s fifth1_per_s fifth2_per_s fifth3_per_s fifth4_per_s fifth5_per_s first_fifth_per_s last_fifth_per_s"
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

# Row C4 of docs/DEPLOYMENTS.md, in the words of Postfix, which are ours.
# shellcheck disable=SC2034 # for the peers' configurations
CHAIN=(reject_invalid_helo_hostname reject_non_fqdn_sender reject_non_fqdn_recipient reject_unknown_sender_domain
    reject_unknown_recipient_domain reject_unauth_pipelining permit_mynetworks reject_unauth_destination
    "reject_rbl_client list01.bench" "reject_rbl_client list02.bench" "reject_rbl_client list03.bench" "reject_rbl_client list04.bench"
    "reject_rhsbl_sender list05.bench" permit)
rules() { # a stranger's mail for a domain of ours, without rules and with the chain, in turn; the name server answers from memory
    local METRICS="$KEEP" MESSAGES=$((MESSAGES / 2)) round mode
    for round in $(seq "$ROUNDS"); do
        lab_start
        for mode in stranger chain; do load "smarthost 20 sessions, $mode, round $round" $mode 20 10; done
        lab_stop
        emit "smarthost 20 sessions, chain, round $round" questions_per_msg "$(ratio "$(awk '/questions/{print $2}' "$W/tools/io/namer")" "$MESSAGES")"
    done
}

destinations() { # a thousand domains by MX: the living ones alone, with the dead ones' mail waiting, and all in turn
    local table="smarthost 1000 destinations" cpu healthy=$((MESSAGES * 7 / 10)) dead=$((MESSAGES * 3 / 10))
    lab_start
    sink_start domains 25 -A 1000
    fresh mx
    source_of warm -n 700 -s 20 -k 0 -d 1000 -w healthy
    sink_wait -n 700 -t 20 > /dev/null || say "$PEER: warm-up not delivered"
    local METRICS="accepted errors error_text accept_per_s deliver_per_s dup"
    burst alone "$healthy" 700 -d 1000 -w healthy
    sleep "$REST_S" # nobody has answered a moment ago
    burst "alone, rested" "$healthy" $((700 + healthy)) -d 1000 -w healthy
    source_of dead -n "$dead" -s 20 -k 0 -d 1000 -w dead
    sleep 3 # what that took is no part of what follows
    burst "with 300 dead ones behind" "$healthy" $((700 + 2 * healthy)) -d 1000 -w healthy
    sleep "$REST_S"
    burst "with 300 dead ones behind, rested" "$healthy" $((700 + 3 * healthy)) -d 1000 -w healthy
    # the dead ones' mail is not to arrive, ever
    fresh mx
    sink_start domains 25 -A 1000
    source_of warm -n 700 -s 20 -k 0 -d 1000 -w healthy
    sink_wait -n 700 -t 20 > /dev/null || say "$PEER: warm-up not delivered"
    burst "of which 300 are dead" "$MESSAGES" 700 -d 1000
    lab_stop
}
BURST=0
burst() { # WHAT MESSAGES BEFORE SOURCE-ARGUMENTS: rate and CPU until the sink has all that can be delivered, or for BURST_S
    local what="$table, $1" before=$3 count cpu arrived
    cpu=$(cpu_us)
    BURST=$((BURST + 1))
    source_of "burst$BURST" -n "$2" -s 50 -k 0 -T "$BURST_S" "${@:4}"
    count=$(accepted)
    [[ " $* " == *" -w healthy "* ]] || count=$((count * 7 / 10))
    # shellcheck disable=SC2046 # three numbers
    set -- $(sink_wait -n $((before + count)) -t "$BURST_S")
    arrived=$(($1 - before))
    emit "$what" cpu_ms_per_msg "$(ratio "($(cpu_us)-$cpu)/1e3" "$arrived")"
    emit "$what" delivered_of "$arrived of $count"
    figures | put "$what" "$METRICS"
}

million() { # MILLION messages wait: memory, what administrators ask, restart; and do accept and drain go as from an empty queue
    local table="smarthost, $MILLION queued" before start
    sink_start million 2525
    fresh page
    in_and_out "smarthost, none queued"
    # shellcheck disable=SC2046 # three numbers
    set -- $(memory)
    before=$1
    source_of fill -n "$MILLION" -s 50 -k 0 -u 10000 -z "$MILLION_Z"
    figures | put "$table" "accepted errors accept_per_s"
    # shellcheck disable=SC2046 # three numbers
    set -- $(memory)
    emit "$table" bytes_per_msg "$(ratio "($1-$before)*1024" "$MILLION")"
    emit "$table" queue_disk_mib "$(du -sm "$ROOT/var/spool" | cut -f1)"
    answers "$table"
    peer_stop
    start=$(now_ns)
    peer_start
    greeting > /dev/null
    emit "$table" restart_to_greeting_s "$(ratio "$(now_ns)-$start" 1e9)"
    # shellcheck disable=SC2046 # three numbers
    set -- $(memory)
    emit "$table" bytes_per_msg_after_restart "$(ratio "($1-$before)*1024" "$MILLION")"
    answers "$table, restarted"
    in_and_out "$table"
    # shellcheck disable=SC2046 # three numbers
    set -- $(peak)
    emit "$table" peak_rss_kib "$1"
}
many_sources() { # the addresses of `source -B`
    nsenter -t "$OUTSIDE" -n ip route replace local 10.104.0.0/14 dev lo
    nsenter -t "$BOX" -n ip route replace 10.104.0.0/14 via $RELAY
}
clients() { # a message from each of CLIENTS addresses
    local table="smarthost, $CLIENTS clients" before
    many_sources
    sink_start clients 2525
    fresh page
    # shellcheck disable=SC2046 # three numbers
    set -- $(memory)
    before=$1
    source_of clients -n "$CLIENTS" -s 50 -k 1 -z 500 -B "$CLIENTS"
    figures | put "$table" "accepted errors error_text accept_per_s"
    sink_wait -n "$CLIENTS" -t 60 > /dev/null || say "$PEER: only a part was delivered"
    # shellcheck disable=SC2046 # three numbers
    set -- $(memory)
    emit "$table" bytes_per_client "$(ratio "($1-$before)*1024" "$CLIENTS")"
    emit "$table" listed "$(in_box /usr/sbin/smarthost limits list --json | wc -l)"
    answers "$table"
}
budgets() { # mail of BUDGETS clients at an even pace, counted here alone; for two smarthosts over a store; and while the other one has not come since the store was emptied
    local METRICS="accepted errors error_text lost dup" MESSAGES=$((BUDGETS * 5)) LOAD_S=120 round mode pids=()
    many_sources
    command -v redis-server > /dev/null || { say "no redis-server on this machine"; return 0; }
    nsenter -t "$OUTSIDE" -n redis-server --bind $RELAY --protected-mode no --save "" --appendonly no > "$W/redis.log" &
    pids=($!)
    for round in $(seq "$ROUNDS"); do
        for mode in counted budget alone; do budget_of "round $round" $mode; done
    done
    kill "${pids[@]}"
    wait "${pids[@]}" 2> /dev/null
}
budget_of() { # NAME MODE: its store's CPU and the other smarthost's are not ours
    local table="smarthost, $BUDGETS clients, $2, $1" other
    nsenter -t "$OUTSIDE" -n redis-cli -h $RELAY flushall > /dev/null
    nsenter -t "$OUTSIDE" -n redis-cli -h $RELAY config resetstat > /dev/null
    rm -rf "$W/other"
    mkdir "$W/other"
    cat > "$W/other/config.toml" << END
hostname = "other.bench"
listen = ["127.0.0.1:2526"]
networks = ["10.0.0.0/8"]
limits = { per_client = ["1000/day"] }
spool = "$W/other/spool"
state = "$W/other/state"
control = "$W/other/control"
budget = { store = "redis://$RELAY:6379/0", node = "mx2", nodes = 2, on_outage = "share" }
END
    if [ "$2" = budget ]; then
        nsenter -t "$OUTSIDE" -n "$OURS/smarthost" --config "$W/other/config.toml" run 2> "$W/other/log" &
        other=$!
    fi
    load "$table" "${2/alone/budget}" 50 1 -o 200 -B "$BUDGETS" -z 512
    [ "$2" = counted ] || emit "$table" store_calls_per_msg "$(ratio "$(calls)" "$MESSAGES")"
    [ -z "${other:-}" ] || { kill "$other"; wait "$other"; } 2> /dev/null
}
calls() { nsenter -t "$OUTSIDE" -n redis-cli -h $RELAY info commandstats | sed -n 's/^cmdstat_evalsha:calls=\([0-9]*\),.*/\1/p'; }
answers() { # how long what administrators ask takes, from exec to exit
    local what inside=(nsenter -t "$BOX" -m -p -n -i -u -r -w --) page
    for what in "queue summary" "queue summary --by sender" "queue summary --by age" status "limits list"; do
        # shellcheck disable=SC2086 # words
        answer "$1" "$(echo $what | tr -d - | tr ' ' _)" 0 "${inside[@]}" /usr/sbin/smarthost $what
    done
    # Now and then, so that what the page keeps for a moment is old.
    page=(nsenter -t "$BOX" -n curl -sf -o /dev/null -H "Authorization: Bearer $(cat "$ROOT/var/lib/smarthost/web.token")")
    answer "$1" page 1.2 "${page[@]}" http://127.0.0.1:8025/
    answer "$1" page_queue 1.2 "${page[@]}" http://127.0.0.1:8025/queue
    answer "$1" metrics 1.2 "${page[@]}" http://127.0.0.1:8025/metrics
}
answer() { # TABLE WHAT PAUSE COMMAND: how long it takes, and the daemon's CPU, with all else that it does meanwhile
    local cpu
    cpu=$(cpu_us)
    emit "$1" "${2}_ms" "$(median_ms "${@:3}")"
    emit "$1" "${2}_cpu_ms" "$(ratio "($(cpu_us)-$cpu)/1e3" 5)"
}
median_ms() { # PAUSE COMMAND: of five times
    python3 - "$@" << 'END'
import statistics, subprocess, sys, time
def once():
    time.sleep(float(sys.argv[1]))
    start = time.monotonic()
    subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, check=True)
    return (time.monotonic() - start) * 1e3
print(round(statistics.median(once() for _ in range(5)), 1))
END
}
in_and_out() { # TABLE: PART messages while the sink is down, then so many of what waits
    sink_stop
    local cpu start
    cpu=$(cpu_us)
    source_of in -n "$PART" -s 50 -k 0 -z "$MILLION_Z"
    figures | put "$1" accept_per_s
    emit "$1" accept_cpu_ms "$(ratio "($(cpu_us)-$cpu)/1e3" "$PART")"
    sleep 3
    : > "$SINK_LOG"
    rm -f "$W/tools/io/$SINK_NAME.cnt"
    sink_again 2525
    cpu=$(cpu_us)
    start=$(now_ns)
    peer_flush > /dev/null 2>&1
    emit "$1" flush_ms "$(ratio "$(now_ns)-$start" 1e6)"
    emit "$1" flush_cpu_ms "$(ratio "$(cpu_us)-$cpu" 1e3)"
    cpu=$(cpu_us)
    sink_wait -n "$PART" -t 120 > /dev/null || say "$PEER: only a part was delivered"
    emit "$1" drain_cpu_ms "$(ratio "($(cpu_us)-$cpu)/1e3" "$PART")"
    sink_stop
    emit "$1" drain_per_s "$(python3 "$HERE/stats.py" drain "$SINK_LOG")"
}

make_tools || exit 1
for p in "${PEERS[@]}"; do
    load_peer smarthost "$p"
    make_peer || { say "$p: not installed"; continue; }
    say "== smarthost $p"
    box_start || exit 1
    for stage in $STAGES; do
        # one that does not sync is there for its memory only
        [ $DURABLE = yes ] || [[ " idle rates " == *" $stage "* ]] || continue
        "$stage"
    done
    peer_stop
    box_stop
done
