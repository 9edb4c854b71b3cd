# shellcheck shell=bash disable=SC2034
PKGS=ssmtp
TLS=no # it verifies nothing
peer_config() {
    printf '%s\n' "root=root@client.bench" "mailhub=$RELAY:25" "hostname=client.bench" "rewriteDomain=client.bench" \
        "FromLineOverride=YES" > "$ROOT/etc/ssmtp/ssmtp.conf"
}
