# shellcheck shell=bash disable=SC2034
PKGS=exim4-daemon-light
PRESEED="exim4-config exim4/dc_eximconfig_configtype select mail sent by smarthost; no local mail"
peer_config() { # plain only: Debian's own configuration for a satellite
    cat > "$ROOT/etc/exim4/update-exim4.conf.conf" << END
dc_eximconfig_configtype='satellite'
dc_other_hostnames=''
dc_local_interfaces='127.0.0.1'
dc_readhost='client.bench'
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost='$RELAY::25'
CFILEMODE='644'
dc_use_split_config='false'
dc_hide_mailname='true'
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
END
    chroot "$ROOT" update-exim4.conf
}
peer_flush() { in_box /usr/sbin/exim4 -qff; }
peer_clean() { rm -rf "$ROOT"/var/spool/exim4/{input,msglog,db}/*; }
