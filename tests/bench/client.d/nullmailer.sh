# shellcheck shell=bash disable=SC2034
PKGS=nullmailer
peer_config() { # tls: the self-signed certificate is the CA
    if [ "$1" = plain ]; then
        echo "$RELAY smtp --port=25"
    else
        echo "relay.bench smtp --port=25 --starttls --x509cafile=/bench/cert.pem"
    fi > "$ROOT/etc/nullmailer/remotes"
    : > "$ROOT/etc/nullmailer/adminaddr"
    chroot "$ROOT" chown mail:mail /etc/nullmailer/remotes
}
peer_start() { # as Debian's unit does: fifo, then the daemon as mail
    local fifo=$ROOT/var/spool/nullmailer/trigger
    [ -p "$fifo" ] || { rm -f "$fifo"; mkfifo -m 0600 "$fifo"; chroot "$ROOT" chown mail:mail /var/spool/nullmailer/trigger; }
    in_box setpriv --reuid mail --regid mail --clear-groups /usr/sbin/nullmailer-send > "$ROOT/bench/daemon.err" 2>&1 &
    sleep .5
}
peer_clean() { rm -rf "$ROOT"/var/spool/nullmailer/queue/*; }
