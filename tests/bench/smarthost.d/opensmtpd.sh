# shellcheck shell=bash disable=SC2034
PKGS=opensmtpd
DURABLE=no # it never calls fsync: only its memory is comparable
peer_config() { # long sessions in both directions; without the undocumented "mta limit" it pauses 5 s after each 100 messages
    cat > "$ROOT/etc/smtpd.conf" << END
smtp limit max-mails 100000
mta limit session-mail-max 1000
listen on $SERVER port 25 hostname server.bench
action "out" relay host "smtp+notls://$RELAY:2525"
match from src $RELAY/32 for any action "out"
END
}
peer_start() {
    rm -f "$ROOT/run/smtpd.sock" "$ROOT/var/run/smtpd.sock"
    in_box /usr/sbin/smtpd >> "$ROOT/bench/daemon.err" 2>&1
}
peer_mailq() { in_box /usr/sbin/smtpctl show queue; }
peer_flush() { in_box /usr/sbin/smtpctl schedule all; }
peer_clean() { rm -rf "$ROOT"/var/spool/smtpd/{queue,incoming,temporary,corrupt}/*; }
