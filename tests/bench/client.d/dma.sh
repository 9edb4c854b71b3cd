# shellcheck shell=bash disable=SC2034
PKGS=dma
peer_config() { # tls: pinned
    {
        printf '%s\n' "SMARTHOST $RELAY" "PORT 25" "MAILNAME client.bench" NULLCLIENT
        [ "$1" = plain ] || printf '%s\n' SECURETRANSFER STARTTLS "FINGERPRINT $(echo "$FINGERPRINT" | tr -d : | tr A-F a-f)"
    } > "$ROOT/etc/dma/dma.conf"
    chroot "$ROOT" chgrp mail /etc/dma/dma.conf
}
peer_flush() { in_box /usr/sbin/dma -q; }
peer_clean() { rm -rf "$ROOT"/var/spool/dma/*; }
