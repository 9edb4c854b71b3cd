# shellcheck shell=bash
# Installing over each other mail transport agent, as it is really configured and with mail in its queue, and going back.

# Exim keeps no mail for a relay that is this machine: the smarthost has an address that comes and goes with it.
relay=192.0.2.1
stop_smarthost() { systemctl stop smarthost.socket smarthost.service && ip address delete $relay/32 dev lo; }
start_smarthost() { ip address replace $relay/32 dev lo && systemctl start smarthost.socket smarthost.service; }
flushed() { sendmail -q && arrived "$1"; }

a_relay_waits_for_the_machines_mail() {
    install /root/smarthost_*.deb
    smarthost pin | sed -n 's/^pins = \["\(.*\)"\]/\1/p' > /root/pin
    start_smarthost
    stop_smarthost
}

# Installs sendmail-shim over PACKAGE, which is there and configured, and goes back to it. It may keep mail while the relay is away.
replaces() { # PACKAGE queue|- ETC...
    local package=$1 queue=$2 delivery
    shift 2
    if [ "$queue" = - ]; then
        start_smarthost
    else
        printf 'Subject: waits\n\nqueued by %s\n' "$package" | su alice -c "sendmail -i root" # nullmailer takes a first line for a header
        for delivery in $(pgrep -x "dma|sendmail"); do
            kill "$delivery" # it sleeps until its next attempt, and holds the message
        done
    fi
    find "$@" -type f -exec md5sum {} + | sort > /root/sums
    printf 'sendmail-shim sendmail-shim/%s\n' "pins string $(cat /root/pin)" 'import boolean true' | debconf-set-selections
    install /root/sendmail-shim_*.deb 2>&1 | tee /root/installation
    dpkg-query -Wf '${Status}\n' "$package" | grep '^deinstall'
    start_smarthost
    # What its last process still works on is left, and named.
    ! grep "not all of the old queue was taken" /root/installation || wait_for 20 sendmail-shim import --queue --apply
    sendmail-shim config | grep "^relayhost = .*$relay"
    alice_sends "after $package"
    wait_for 60 flushed "after $package"
    [ "$queue" = - ] || wait_for 60 flushed "queued by $package"
    find "$@" -type f -exec md5sum {} + | sort | diff /root/sums -

    install "$package"
    [ ! -e /usr/sbin/sendmail-shim ] && [ -x /usr/sbin/sendmail ]
    find "$@" -type f -exec md5sum {} + | sort > /root/sums # ssmtp edits its own at each installation
    apt-get -qq -y purge sendmail-shim
    find "$@" -type f -exec md5sum {} + | sort | diff /root/sums -
    [ ! -e /etc/sendmail-shim ] && [ ! -e /var/spool/sendmail-shim ] && ! getent passwd sendmail-shim
    apt-get -qq -y purge "$package"
    apt-get -qq -y autoremove --purge
    stop_smarthost
}

ssmtp_is_replaced() {
    install ssmtp
    printf '%s\n' "root=admins@$(hostname -f)" mailhub=$relay:25 "hostname=$(hostname -f)" UseSTARTTLS=YES FromLineOverride=YES > /etc/ssmtp/ssmtp.conf
    replaces ssmtp - /etc/ssmtp
}

msmtp_is_replaced() {
    install msmtp-mta
    printf '%s\n' defaults 'tls on' 'tls_starttls on' 'aliases /etc/aliases' 'account default' "host $relay" 'port 25' "from alice@$(hostname -f)" > /etc/msmtprc
    replaces msmtp-mta - /etc/msmtprc
    rm -f /etc/msmtprc
}

nullmailer_is_replaced_with_its_queue() {
    install nullmailer
    echo "$relay smtp starttls" > /etc/nullmailer/remotes
    hostname -f > /etc/nullmailer/me
    replaces nullmailer queue /etc/nullmailer
}

dma_is_replaced_with_its_queue() {
    install dma
    printf '%s\n' "SMARTHOST $relay" 'PORT 25' SECURETRANSFER STARTTLS NULLCLIENT "MAILNAME $(hostname -f)" > /etc/dma/dma.conf
    replaces dma queue /etc/dma
}

postfix_is_replaced_with_its_queue() {
    printf 'postfix postfix/%s\n' 'main_mailer_type select Satellite system' "mailname string $(hostname -f)" "relayhost string [$relay]" | debconf-set-selections
    install postfix
    postconf -e master_service_disable=inet inet_protocols=ipv4 mydestination= "relayhost=[$relay]" smtp_tls_security_level=encrypt
    systemctl restart postfix
    replaces postfix queue /etc/postfix
}

exim_is_replaced_with_its_queue() {
    printf 'exim4-config exim4/%s\n' 'dc_eximconfig_configtype select mail sent by smarthost; no local mail' "dc_smarthost string $relay" \
        "mailname string $(hostname -f)" 'dc_other_hostnames string' | debconf-set-selections
    install exim4-daemon-light
    sed -i "s/^QUEUERUNNER=.*/QUEUERUNNER='queueonly'/" /etc/default/exim4 # port 25 is the relay's
    systemctl restart exim4
    replaces exim4-daemon-light queue /etc/exim4 /etc/default/exim4
}

without_an_answer_what_was_there_is_named() {
    install ssmtp
    echo mailhub=$relay:25 > /etc/ssmtp/ssmtp.conf
    install /root/sendmail-shim_*.deb 2>&1 | grep "sendmail-shim import --apply takes it over"
    [ ! -e /etc/sendmail-shim/config.toml ]
    alice_sends "before anything is taken over"
    [ "$(waiting)" = 1 ]
    apt-get -qq -y purge sendmail-shim ssmtp
}
