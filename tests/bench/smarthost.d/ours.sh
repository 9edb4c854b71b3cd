# shellcheck shell=bash
peer_install() {
    install -m 755 "$OURS/smarthost" "$ROOT/usr/sbin/smarthost"
    mkdir -p "$ROOT/etc/smarthost"
}
peer_config() {
    local networks="[\"$RELAY/32\", \"127.0.0.0/8\"]" way="relayhost = \"[$RELAY]:2525\"" tls='level = "none"'
    case $1 in
        tls) tls="pins = [\"cert-sha256:$FINGERPRINT\"]" ;;
        page) networks='["10.0.0.0/8", "127.0.0.0/8"]' way+=$'\nweb = "127.0.0.1:8025"' ;;
        counted | budget) networks='["10.0.0.0/8", "127.0.0.0/8"]' ;;&
        budget) way+=$'\n'"budget = { store = \"redis://$RELAY:6379/0\", node = \"mx1\", nodes = 2, on_outage = \"share\" }" ;;
        mx) way="resolver = \"$RELAY\"" ;;
        stranger | chain) networks='["127.0.0.0/8"]' way="resolver = \"$RELAY\"
domains = { relay = [\"sink.bench\"] }
routes = { \"sink.bench\" = \"[$RELAY]:2525\" }
greet_wait = \"0s\"
restrictions = [$([ "$1" = stranger ] && echo '"reject_unauth_destination"' || printf '"%s", ' "${CHAIN[@]}")]" ;;
    esac
    cat > "$ROOT/etc/smarthost/config.toml" << END
hostname = "server.bench"
listen = ["$SERVER:25"]
networks = $networks
limits = { per_client = ["1000/day"], exempt = ["$RELAY"] }
control = "/run/smarthost.sock"
relay_tls = { $tls }
concurrency = { sessions = 400, client = 400 }
$way
END
}
peer_start() { in_box /usr/sbin/smarthost run >> "$ROOT/bench/daemon.err" 2>&1 & }
peer_clean() { rm -rf "$ROOT/var/spool/smarthost" "$ROOT/var/lib/smarthost"; }
peer_flush() { in_box /usr/sbin/smarthost queue flush; }
peer_mailq() { in_box /usr/sbin/smarthost queue list; }
