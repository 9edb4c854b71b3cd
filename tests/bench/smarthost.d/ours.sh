# shellcheck shell=bash
peer_install() {
    install -m 755 "$OURS/smarthost" "$ROOT/usr/sbin/smarthost"
    mkdir -p "$ROOT/etc/smarthost"
}
peer_config() {
    cat > "$ROOT/etc/smarthost/config.toml" << END
hostname = "server.bench"
listen = ["$SERVER:25"]
networks = ["$RELAY/32", "127.0.0.0/8"]
limits = { per_client = ["1000/day"], exempt = ["$RELAY"] }
relayhost = "[$RELAY]:2525"
control = "/run/smarthost.sock"
relay_tls = { $([ "$1" = plain ] && echo 'level = "none"' || echo "pins = [\"cert-sha256:$FINGERPRINT\"]") }
concurrency = { sessions = 400, client = 400 }
END
}
peer_start() { in_box /usr/sbin/smarthost run >> "$ROOT/bench/daemon.err" 2>&1 & }
peer_clean() { rm -rf "$ROOT/var/spool/smarthost" "$ROOT/var/lib/smarthost"; }
peer_flush() { in_box /usr/sbin/smarthost queue flush; }
peer_mailq() { in_box /usr/sbin/smarthost queue list; }
