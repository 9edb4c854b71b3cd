# shellcheck shell=bash disable=SC2034
PKGS=postfix
PRESEED="postfix postfix/main_mailer_type select No configuration"
peer_config() { # relay as in STANDARD_CONFIGURATION_README and TUNING_README; a limit a day, the source exempt
    cat > "$ROOT/etc/postfix/main.cf" << END
compatibility_level = 3.6
myhostname = server.bench
mydestination =
mynetworks = 127.0.0.0/8$([[ $1 = stranger || $1 = chain ]] || echo " $RELAY/32")
$([ "$1" = mx ] || echo "relayhost = [$RELAY]:2525")
inet_interfaces = all
inet_protocols = ipv4
local_transport = error:local delivery is disabled
smtp_host_lookup = $([ "$1" = mx ] && echo dns || echo native)
smtpd_peername_lookup = no
alias_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_message_rate_limit = 1000
anvil_rate_time_unit = 1d
smtpd_client_event_limit_exceptions = \$mynetworks
smtpd_client_connection_count_limit = 0
default_process_limit = 300
smtp_destination_concurrency_limit = 50
in_flow_delay = 0
END
    [[ $1 != stranger && $1 != chain ]] || cat >> "$ROOT/etc/postfix/main.cf" << END
relay_domains = sink.bench
relay_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_client_event_limit_exceptions = $RELAY
$([ "$1" = stranger ] || printf 'smtpd_helo_required = yes\nsmtpd_recipient_restrictions = %s\n' "$(printf '%s, ' "${CHAIN[@]}")")
END
    [[ $1 = plain || $1 = tls ]] || echo "nameserver $RELAY" > "$ROOT/etc/resolv.conf"
    [ "$1" != tls ] || cat >> "$ROOT/etc/postfix/main.cf" << END
smtpd_tls_security_level = may
smtpd_tls_chain_files = /bench/key.pem, /bench/cert.pem
smtp_tls_session_cache_database = btree:\$data_directory/smtp_scache
smtp_tls_security_level = fingerprint
smtp_tls_fingerprint_digest = sha256
smtp_tls_fingerprint_cert_match = $FINGERPRINT
END
    sed -E 's/^([a-z#]+ +(inet|unix) +[-yn] +[-yn] +)y /\1n /' "$ROOT/usr/share/postfix/master.cf.dist" > "$ROOT/etc/postfix/master.cf"
}
peer_start() {
    rm -f "$ROOT/var/spool/postfix/pid/"*.pid "$ROOT/var/lib/postfix/master.lock"
    in_box /usr/sbin/postfix start >> "$ROOT/bench/daemon.err" 2>&1
}
peer_stop() { in_box /usr/sbin/postfix stop > /dev/null 2>&1; kill_box; }
peer_mailq() { in_box /usr/sbin/postqueue -p; }
peer_flush() { in_box /usr/sbin/postqueue -f; }
peer_clean() { rm -rf "$ROOT"/var/spool/postfix/{incoming,active,deferred,defer,maildrop,bounce,corrupt}/*; }
