# shellcheck shell=bash disable=SC2034
PKGS=postfix
PRESEED="postfix postfix/main_mailer_type select No configuration"
peer_config() { # null client as in STANDARD_CONFIGURATION_README; tls: pinned
    cat > "$ROOT/etc/postfix/main.cf" << END
compatibility_level = 3.6
myhostname = client.bench
mydestination =
relayhost = [$RELAY]:25
inet_interfaces = loopback-only
inet_protocols = ipv4
local_transport = error:local delivery is disabled
smtp_host_lookup = native
alias_maps =
END
    [ "$1" = plain ] || cat >> "$ROOT/etc/postfix/main.cf" << END
smtp_tls_security_level = fingerprint
smtp_tls_fingerprint_digest = sha256
smtp_tls_fingerprint_cert_match = $FINGERPRINT
END
    # nothing listens, nothing is chrooted: there is no /dev/log and no resolver to reach
    sed -E 's/^smtp( +inet)/#smtp\1/; s/^([a-z#]+ +(inet|unix) +[-yn] +[-yn] +)y /\1n /' "$ROOT/usr/share/postfix/master.cf.dist" > "$ROOT/etc/postfix/master.cf"
}
peer_start() { in_box /usr/sbin/postfix start > "$ROOT/bench/daemon.err" 2>&1; sleep 1; }
peer_stop() { in_box /usr/sbin/postfix stop > /dev/null 2>&1; kill_box; }
peer_flush() { in_box /usr/sbin/postqueue -f; }
peer_clean() { rm -rf "$ROOT"/var/spool/postfix/{incoming,active,deferred,defer,maildrop,bounce,corrupt}/*; }
