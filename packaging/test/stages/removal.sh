# shellcheck shell=bash
# Reinstalling, removing, purging: after a story that installed and configured both packages.

reinstalling_keeps_queue_and_settings() {
    systemctl stop smarthost.socket smarthost.service
    alice_sends "before the reinstallation"
    install --reinstall /root/sendmail-shim_*.deb
    [ "$(waiting)" = 1 ]
    sendmail-shim config | grep '^relayhost = .*127\.0\.0\.1'
    sendmail-shim config | grep '^relayhost = ' | absent -F 192.0.2.1
    grep -q 192.0.2.1 /etc/sendmail-shim/debconf.toml
}

removing_keeps_the_queue() {
    apt-get -qq -y remove sendmail-shim 2>&1 | tee /root/removal
    grep -q "1 messages stay" /root/removal
    [ ! -e /run/sendmail-shim/submit.sock ] && [ ! -e /usr/sbin/sendmail ]
    install /root/sendmail-shim_*.deb
    systemctl start smarthost.socket smarthost.service
    sendmail -q
    wait_for 60 arrived "before the reinstallation"
}

# Nobody said that it may go.
purging_keeps_the_mail_that_waits() {
    systemctl stop smarthost.socket smarthost.service
    alice_sends "before the purge"
    apt-get -qq -y purge sendmail-shim smarthost 2>&1 | tee /root/purge
    grep "1 messages stay in /var/spool/sendmail-shim" /root/purge
    grep "delivered ones in /var/lib/smarthost/Maildir" /root/purge
    [ ! -e /etc/sendmail-shim ] && [ ! -e /etc/smarthost ]
    install /root/smarthost_*.deb /root/sendmail-shim_*.deb
    [ "$(waiting)" = 1 ]
    everything_goes_to_the_smarthost_here
    systemctl restart sendmail-shim.service # its settings went with the purge
    sendmail -q
    wait_for 60 arrived "before the purge"
}

# Where somebody said yes, mail goes too.
purging_leaves_nothing() {
    printf '%s boolean true\n' 'smarthost smarthost/delete-mail' 'sendmail-shim sendmail-shim/delete-queue' | debconf-set-selections
    apt-get -qq -y purge sendmail-shim smarthost 'exim4*'
    apt-get -qq -y autoremove --purge
    files > /root/after
    # /etc/mailname and /etc/aliases belong to all mail programs of a Debian machine.
    { diff /root/before /root/after || true; } | grep '^>' | absent -vE ' /etc/(mailname|aliases)$'
    { getent passwd sendmail-shim smarthost || true; } | absent .
    { systemctl list-unit-files --no-legend 'sendmail-shim*' 'smarthost*' || true; } | absent .
    { debconf-show sendmail-shim || true; } | absent .
}
