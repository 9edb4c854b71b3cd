# shellcheck shell=bash
# A machine's mail from the first installation on: the answers, the callers, the daemons that end and come back.

installing_over_exim_replaces_it_and_sets_no_privileged_bits() {
    files > /root/before
    install exim4-daemon-light
    install /root/smarthost_*.deb # port 25 of loopback is Exim's
    install /root/sendmail-shim_*.deb
    dpkg -s exim4-daemon-light | grep -q '^Status: deinstall'
    systemctl restart smarthost.socket smarthost.service
    [ "$(readlink -f /usr/lib/sendmail)" = /usr/sbin/sendmail ]
    [ "$(readlink -f /usr/bin/mailq)" = /usr/sbin/sendmail ]
    newaliases
    dpkg -L sendmail-shim smarthost | grep / | xargs -d '\n' stat -c '%a %n' | absent -E '^[2-7][0-7]{3} '
    [ "$(dpkg-query -Wf '${Installed-Size}' sendmail-shim)" -le 13056 ]
    [ "$(stat -c %s /usr/sbin/sendmail)" -le 4750000 ] # what every machine starts for each mail
    [ "$(dpkg-query -Wf '${Installed-Size}' smarthost)" -le 17408 ]
    [ "$(id -un "$(stat -c %u /proc/"$(systemctl show -P MainPID smarthost)")")" = smarthost ]
}

without_answers_mail_is_queued_and_the_missing_relayhost_is_named() {
    alice_sends "before the relayhost was known"
    [ "$(waiting)" = 1 ]
    mailq | grep -q "no relayhost is set"
    { sendmail-shim check || true; } | grep -q "no relayhost is set"
}

# Row D3.
with_answers_what_was_queued_arrives() {
    local pin
    pin=$(smarthost pin | sed -n 's/^pins = \["\(.*\)"\]/\1/p')
    debconf-set-selections <<END
sendmail-shim sendmail-shim/relayhost string 192.0.2.1, 127.0.0.1
sendmail-shim sendmail-shim/pins string $pin
sendmail-shim sendmail-shim/admin string admins@$(hostname -f)
END
    dpkg-reconfigure -f noninteractive sendmail-shim
    sendmail-shim config | grep '^relayhost = .*192\.0\.2\.1.*127\.0\.0\.1'
    wait_for 60 arrived "before the relayhost was known"
    wait_for 10 none_waits
    sendmail-shim check || [ $? = 1 ] # the first relayhost is not there

    # An answer that cannot be used leaves what was answered before, is named, and costs no other.
    cp /etc/sendmail-shim/debconf.toml /root/good
    printf 'sendmail-shim sendmail-shim/%s\n' 'pins string nonsense' 'mailname string mail.example.org' | debconf-set-selections
    dpkg-reconfigure -f noninteractive sendmail-shim 2>&1 | grep -A1 "these answers cannot be used" | grep "pins: "
    grep -Fx "$(grep '^pins' /root/good)" /etc/sendmail-shim/debconf.toml
    grep -Fx 'domain = "mail.example.org"' /etc/sendmail-shim/debconf.toml
    printf 'sendmail-shim sendmail-shim/%s\n' "pins string $pin" "mailname string $(cat /etc/mailname)" | debconf-set-selections
    # The administrator's own file decides, and is left alone.
    echo 'relayhost = "127.0.0.1"' > /etc/sendmail-shim/config.toml
    dpkg-reconfigure -f noninteractive sendmail-shim
    [ "$(cat /etc/sendmail-shim/config.toml)" = 'relayhost = "127.0.0.1"' ]
    sendmail-shim config | grep '^relayhost = .*127\.0\.0\.1'
    sendmail-shim config | grep '^relayhost = ' | absent -F 192.0.2.1
    sendmail-shim config | grep -F "$pin"
}

# Row A1.
the_output_of_a_cron_job_arrives() {
    echo '* * * * * echo output of a cron job' | crontab -u alice -
    wait_for 90 arrived "output of a cron job"
    crontab -u alice -r
    arrived 'Subject: Cron <alice@.*'
}

sandboxed_services_can_send_mail() {
    local sandbox
    for sandbox in NoNewPrivileges=yes DynamicUser=yes ProtectSystem=strict PrivateNetwork=yes PrivateUsers=yes RestrictAddressFamilies=AF_UNIX; do
        echo "from a sandbox with $sandbox" | systemd-run -q --wait --pipe -p "$sandbox" sendmail -i root
        wait_for 30 arrived "from a sandbox with $sandbox"
    done
    echo "from all sandboxes at once" | systemd-run -q --wait --pipe -p DynamicUser=yes -p NoNewPrivileges=yes -p ProtectSystem=strict -p ProtectHome=yes \
        -p PrivateNetwork=yes -p PrivateUsers=yes -p RestrictAddressFamilies=AF_UNIX -p PrivateTmp=yes -p RestrictSUIDSGID=yes \
        -p CapabilityBoundingSet= -p SystemCallFilter=@system-service sendmail -i root
    wait_for 30 arrived "from all sandboxes at once"
}

the_journal_finds_a_message_by_its_fields() {
    local id
    id=$(journalctl -u sendmail-shim -o json MAIL_STATUS=sent | sed -n 's/.*"MAIL_QUEUE_ID":"\([^"]*\)".*/\1/p' | tail -n 1)
    journalctl -o cat "MAIL_QUEUE_ID=$id" | grep -E "^$id: from=<.*>, size="
    journalctl -o cat "MAIL_QUEUE_ID=$id" | grep "^$id: removed"
    journalctl -u smarthost -o json MAIL_STATUS=sent | grep '"SYSLOG_IDENTIFIER":"smarthost"' | grep -q '"_SYSTEMD_UNIT":"smarthost.service"'
}

an_idle_agent_ends_and_comes_back_with_the_next_message() {
    wait_for 90 inactive sendmail-shim.service
    [ "$(systemctl show -P Result sendmail-shim.service)" = success ]
    alice_sends "to a sleeping agent"
    wait_for 30 arrived "to a sleeping agent"
}

mail_survives_a_killed_agent_and_waits_for_the_relayhost() {
    local i
    systemctl disable --now smarthost.socket smarthost.service
    for i in $(seq 20); do
        alice_sends "while the relay was down $i" &
        [ "$i" != 10 ] || systemctl kill -s KILL sendmail-shim.service || true
    done > /root/sent 2>&1
    wait
    # Each that was taken is there; one that was not has told its caller, whose second attempt succeeds.
    for i in $(seq 20); do
        alice_sends "while the relay was down, once more $i"
    done
    systemctl kill -s KILL sendmail-shim.service
    [ "$(waiting)" -ge 20 ]
    mailq | grep -q "Connection refused"
}

# Services write a last mail while the machine goes down; the relay is not there.
services_that_write_when_they_end_are_started() {
    cat > /etc/systemd/system/farewell@.service <<'END'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c 'echo "a last word of %i" | sendmail -i root; echo $? > /root/farewell-%i'
END
    systemctl start farewell@{1..8}.service
}

what_services_wrote_when_they_ended_was_queued() {
    local i
    for i in $(seq 8); do
        [ "$(cat "/root/farewell-$i")" = 0 ]
    done
    rm /etc/systemd/system/farewell@.service
    systemctl daemon-reload
}

waiting_mail_is_delivered_after_a_reboot() {
    local i
    systemctl -q is-active sendmail-shim.service # without being asked
    [ "$(waiting)" -ge 20 ]
    systemctl enable --now smarthost.socket smarthost.service
    sendmail -q
    wait_for 60 none_waits
    for i in $(seq 20); do
        arrived "while the relay was down, once more $i"
    done
    for i in $(seq 8); do
        arrived "a last word of $i"
    done
}

no_number_of_restarts_and_no_broken_configuration_costs_a_socket() {
    local i
    for i in $(seq 8); do
        systemctl restart smarthost.service
    done
    for i in $(seq 8); do
        systemctl restart smarthost.socket sendmail-shim.socket # the natural step after an edit of its ports
    done
    wait_for 20 systemctl -q is-active smarthost.service
    alice_sends "after many restarts"
    wait_for 60 arrived "after many restarts"

    systemctl stop sendmail-shim.service smarthost.service
    sed -i '1i adminn = 1' /etc/sendmail-shim/config.toml
    sed -i '1i hostnme = "x"' /etc/smarthost/config.toml
    for i in $(seq 25); do
        alice_sends "while the configuration is broken $i"
        : < /dev/tcp/127.0.0.1/25 || true
    done
    systemctl -q is-active sendmail-shim.socket
    systemctl -q is-active smarthost.socket
    sed -i '/^adminn = 1$/d' /etc/sendmail-shim/config.toml
    sed -i '/^hostnme = "x"$/d' /etc/smarthost/config.toml
    for i in 1 25; do # nothing is started by hand
        wait_for 90 arrived "while the configuration is broken $i"
    done
    journalctl -u sendmail-shim.service -u smarthost.service | absent "timed out"
}
