# shellcheck shell=bash
# Other versions of the same packages take over while mail waits and comes in; a relay restarts under load.

an_older_version_is_installed() {
    install /root/older/smarthost_*.deb
    everything_goes_to_the_smarthost_here
    install /root/older/sendmail-shim_*.deb
    alice_sends "to the older version"
    wait_for 60 arrived "to the older version"
}

# Mail is in the agent's queue, more comes in meanwhile, and the programs that run are those of the packages.
replaced_with() { # FOLDER VERSION TEXT
    local agent relay sender i
    relay=$(systemctl show -P MainPID smarthost.service)
    systemctl stop smarthost.socket smarthost.service
    alice_sends "$3"
    agent=$(systemctl show -P MainPID sendmail-shim.service)
    for i in $(seq 1000); do
        ! alice_sends "$3 meanwhile $i" || echo "$3 meanwhile $i" >> /root/accepted
        sleep 0.1
    done &
    sender=$!
    wait_for 10 grep -q meanwhile /root/accepted
    install --allow-downgrades "$1"/sendmail-shim_*.deb "$1"/smarthost_*.deb
    kill $sender
    [ "$(dpkg-query -Wf '${Version}' sendmail-shim)" = "$2" ]
    [ "$(systemctl show -P MainPID sendmail-shim.service)" != "$agent" ]
    [ "$(systemctl show -P MainPID smarthost.service)" != "$relay" ]
    [ "$(readlink "/proc/$(systemctl show -P MainPID sendmail-shim.service)/exe")" = /usr/sbin/sendmail-shim ]
    [ "$(readlink "/proc/$(systemctl show -P MainPID smarthost.service)/exe")" = /usr/sbin/smarthost ]
    sendmail -q
    wait_for 60 arrived "$3"
    while read -r i; do wait_for 60 arrived "$i"; done < /root/accepted
    echo "told: $(wc -l < /root/accepted) accepted meanwhile, none lost"
    rm /root/accepted
}

an_upgrade_with_mail_in_the_queue_loses_nothing() {
    replaced_with /root "$(dpkg-deb -f /root/sendmail-shim_*.deb Version)" "before the upgrade"
}

a_downgrade_with_mail_in_the_queue_loses_nothing() {
    replaced_with /root/older 0.0.1-1 "before the downgrade"
}

a_smarthost_that_restarts_under_load_refuses_no_connection_and_loses_nothing() {
    local client i
    python3 - <<'END' &
import concurrent.futures, pathlib, smtplib, socket, time
end, address = time.monotonic() + 10, "postmaster@" + socket.getfqdn()

def sends(sender):
    taken = set()
    for number in range(100_000):
        if time.monotonic() > end:
            return taken
        name = f"restart {sender} {number}"
        try:  # a session may be ended with 421, which tells the client to come again; a connection that is refused ends this test
            with smtplib.SMTP("127.0.0.1", 25, timeout=60) as smtp:
                smtp.sendmail("root@" + socket.getfqdn(), address, f"Subject: load\r\n\r\n{name}\r\n")
                taken.add(name)
        except smtplib.SMTPException:
            pass

with concurrent.futures.ThreadPoolExecutor() as pool:
    taken = set().union(*pool.map(sends, range(8)))
new, until = pathlib.Path("/var/lib/smarthost/Maildir/new"), time.monotonic() + 60
while True:
    there = [file.read_text().splitlines()[-1] for file in new.iterdir()]
    if taken <= set(there) or time.monotonic() > until:
        break
    time.sleep(0.5)
there = [name for name in there if name.startswith("restart ")]
print(f"told: {len(taken)} accepted, {len(taken - set(there))} lost, {len(there) - len(set(there))} delivered twice")
assert len(taken) > 50 and taken <= set(there)
END
    client=$!
    for i in 1 2 3 4; do
        sleep 2
        systemctl restart smarthost.service
    done
    wait $client
}
