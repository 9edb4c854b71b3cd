# shellcheck shell=bash
# What needs a kernel of one's own: power cuts, mdadm, limits and AppArmor as they really are. Stages of packaging/test/power-cut.

a_machine_from_an_image_has_its_mail_after_one_answer() {
    everything_goes_to_the_smarthost_here
    systemctl restart sendmail-shim.service
    alice_sends "the first message"
    wait_for 120 arrived "the first message"
}

mdadm_tells_of_its_arrays() {
    local i
    for i in 1 2; do
        truncate -s 16M "/root/half$i"
        losetup "/dev/loop$i" "/root/half$i"
    done
    mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 /dev/loop1 /dev/loop2
    grep -q '^md0 : active raid1' /proc/mdstat
    mdadm --detail --scan > /etc/mdadm/mdadm.conf
    echo "MAILADDR root" >> /etc/mdadm/mdadm.conf
    mdadm --monitor --test --oneshot --scan
    wait_for 120 grep -rqs "^Subject: TestMessage event on /dev/md.*$(hostname)" /var/lib/smarthost/Maildir/new
    mdadm --manage /dev/md0 --fail /dev/loop2
    mdadm --monitor --oneshot --scan
    wait_for 120 grep -rqs "^Subject: DegradedArray event on /dev/md.*$(hostname)" /var/lib/smarthost/Maildir/new
    mdadm --stop /dev/md0
    losetup -D
    rm /etc/mdadm/mdadm.conf /root/half?
}

both_daemons_are_confined_and_limited() {
    local name pid
    systemctl set-property smarthost.service MemoryMax=64M
    systemctl set-property sendmail-shim.service MemoryMax=32M
    sync # the settings, too, shall survive
    alice_sends "wake up"
    for name in smarthost sendmail-shim; do
        pid=$(systemctl show -P MainPID $name.service)
        [ "$(cat "/proc/$pid/attr/apparmor/current")" = "$name (enforce)" ]
        not aa-exec -p $name cat /etc/hostname
    done
    [ "$(cat /sys/fs/cgroup/system.slice/smarthost.service/memory.max)" = $((64 << 20)) ]
}

memory_stayed_within_its_limit() {
    local name
    for name in smarthost sendmail-shim; do
        grep -qx 'oom_kill 0' /sys/fs/cgroup/system.slice/$name.service/memory.events
        [ "$(systemctl show -P MemoryMax $name.service)" -le $((64 << 20)) ]
    done
    echo "told: peaks of $(cat /sys/fs/cgroup/system.slice/{smarthost,sendmail-shim}.service/memory.peak | xargs) bytes"
}

# Lines of what arrived or waits, as packaging/test/load prints what was accepted.
what_is_there() {
    set +x
    grep -rhoE '^message [0-9a-z-]+' /var/lib/smarthost/Maildir/new | sed 's/^message/mine/'
    smarthost queue list | sed -nE 's/^([0-9A-Za-z]+).*/queued \1/p'
    echo "agent $(waiting)"
}
