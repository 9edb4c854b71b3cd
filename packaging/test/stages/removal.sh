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

# Nobody said that it may go, and nothing runs that could count it.
purging_keeps_the_mail_that_waits() {
    systemctl stop smarthost.socket smarthost.service
    alice_sends "before the purge"
    systemctl stop sendmail-shim.socket sendmail-shim.service
    apt-get -qq -y purge sendmail-shim smarthost 2>&1 | tee /root/purge
    grep "an unknown number of messages stay in /var/spool/sendmail-shim" /root/purge
    grep "delivered ones in /var/lib/smarthost/Maildir" /root/purge
    [ ! -e /etc/sendmail-shim ] && [ ! -e /etc/smarthost ]
    install /root/smarthost_*.deb /root/sendmail-shim_*.deb
    [ "$(waiting)" = 1 ]
    everything_goes_to_the_smarthost_here
    systemctl restart sendmail-shim.service # its settings went with the purge
    sendmail -q
    wait_for 60 arrived "before the purge"
}

removed_packages_leave_their_init_scripts() {
    apt-get -qq -y remove sendmail-shim smarthost
    [ -e /etc/init.d/sendmail-shim ] && [ -e /etc/init.d/smarthost ]
}

# What those did at boot is no service that runs.
after_a_reboot_without_them_they_are_installed_again_and_serve() {
    install /root/smarthost_*.deb /root/sendmail-shim_*.deb
    systemctl -q is-active smarthost.socket smarthost.service sendmail-shim.socket
    alice_sends "after the machine was without"
    wait_for 60 arrived "after the machine was without"
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
