# shellcheck shell=bash disable=SC2034
PKGS="msmtp-mta"
peer_config() {
    {
        printf '%s\n' "account default" "host $RELAY" "port 25" "from %U@client.bench" "auto_from off" "syslog off"
        [ "$1" = plain ] || printf '%s\n' "tls on" "tls_starttls on" "tls_fingerprint $FINGERPRINT"
    } > "$ROOT/etc/msmtprc"
}
