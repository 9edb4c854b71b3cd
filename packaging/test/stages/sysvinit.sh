# shellcheck shell=bash
# A machine without systemd, such as an LXC container: the init scripts.

sysvinit_takes_the_place_of_systemd() {
    install sysvinit-core
}

init_scripts_start_both_daemons_without_rights() {
    local name pid
    [ ! -d /run/systemd/system ]
    files > /root/before
    install /root/smarthost_*.deb
    everything_goes_to_the_smarthost_here
    install /root/sendmail-shim_*.deb
    for name in smarthost sendmail-shim; do
        service $name status
        pid=$(cat /run/$name.pid)
        [ "$(stat -c %U "/proc/$pid")" = $name ]
        grep -qx 'NoNewPrivs:	1' "/proc/$pid/status"
    done
    grep -qx 'CapEff:	0000000000000000' "/proc/$pid/status"
    grep -qx 'CapEff:	0000000000000400' "/proc/$(cat /run/smarthost.pid)/status" # ports below 1024
    alice_sends "to the agent of an init script"
    wait_for 60 arrived "to the agent of an init script"
}

a_killed_daemon_loses_nothing() {
    service smarthost stop
    { service smarthost status && exit 1; } || [ $? = 3 ]
    alice_sends "while the relay was down"
    kill -KILL "$(cat /run/sendmail-shim.pid)"
    wait_for 10 not service sendmail-shim status
    not alice_sends "without an agent and without a relay"
    service sendmail-shim start
    service sendmail-shim start # once is enough
    [ "$(waiting)" = 1 ]
    service smarthost start
    service smarthost reload
    sendmail -q
    wait_for 60 arrived "while the relay was down"
    kill -KILL "$(cat /run/smarthost.pid)"
    alice_sends "to a killed relay"
    service smarthost restart
    service sendmail-shim restart
    sendmail -q
    wait_for 60 arrived "to a killed relay"
    service smarthost stop
    alice_sends "before the reboot"
}

init_scripts_start_both_daemons_at_boot() {
    service smarthost status
    service sendmail-shim status
    sendmail -q
    wait_for 60 arrived "before the reboot"
}
