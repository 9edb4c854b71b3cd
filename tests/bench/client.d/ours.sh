# shellcheck shell=bash
peer_install() {
    install -m 755 "$OURS/sendmail" "$ROOT/usr/sbin/sendmail"
    [ ! -e "$OURS/hello" ] || install -m 755 "$OURS/hello" "$ROOT/bench/hello"
    install -m 755 "$OURS/sendmail-shim" "$ROOT/usr/sbin/sendmail-shim"
    ln -sf ../sbin/sendmail "$ROOT/usr/bin/mailq"
    ln -sf ../sbin/sendmail "$ROOT/usr/bin/newaliases"
    mkdir -p "$ROOT/etc/sendmail-shim" "$ROOT/run/sendmail-shim"
}
peer_config() { # tls: pinned
    {
        echo "relayhost = \"[$RELAY]:25\""
        echo "domain = \"client.bench\""
        if [ "$1" = plain ]; then echo 'tls = "none"'; else echo "pins = [\"cert-sha256:$FINGERPRINT\"]"; fi
    } > "$ROOT/etc/sendmail-shim/config.toml"
}
peer_start() {
    in_box /usr/sbin/sendmail-shim agent > "$ROOT/bench/daemon.err" 2>&1 &
    local _
    for _ in $(seq 100); do [ -S "$ROOT/run/sendmail-shim/submit.sock" ] && break; sleep .02; done
}
peer_stop() { kill_box; rm -f "$ROOT/run/sendmail-shim/"*; }
peer_clean() { rm -rf "$ROOT/var/spool/sendmail-shim"; }
peer_flush() { in_box /usr/sbin/sendmail -q; }
peer_mailq() { in_box /usr/bin/mailq; }
