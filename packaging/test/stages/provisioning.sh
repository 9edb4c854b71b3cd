# shellcheck shell=bash
# Machines that have mail with no hand: by credentials, by cloud-init, by a pin that somebody confirms.

pin_of_smarthost() { smarthost pin | sed -n 's/^pins = \["\(.*\)"\]/\1/p'; }
installed() { dpkg-query -Wf '${db:Status-Status}' "$1" | grep -x installed; }

without_answers_the_packages_wait_for_a_credential() {
    install /root/smarthost_*.deb /root/sendmail-shim_*.deb
    [ ! -e /etc/sendmail-shim/credential.toml ]
    alice_sends "before the credential was there"
    mailq | grep -q "no relayhost is set"
    cat > /root/sendmail-shim.toml <<TOML
relayhost = "127.0.0.1"
pins = ["$(pin_of_smarthost)"]
admin = "admins@$(hostname -f)"
TOML
    echo 'networks = ["127.0.0.0/8", "::1", "192.0.2.0/24"]' > /root/smarthost.toml
    echo "of the machine" > /root/sendmail-shim.relay-password
}

a_machine_started_with_credentials_has_mail_with_no_hand() {
    wait_for 60 arrived "before the credential was there"
    sendmail-shim config | grep -x '# /etc/sendmail-shim/credential.toml'
    smarthost config | grep -F 192.0.2.0/24
    alice_sends "after the credential was there"
    wait_for 60 arrived "after the credential was there"
    systemctl start sendmail-shim.service
    [ "$(cat /run/credentials/sendmail-shim.service/relay-password)" = "of the machine" ]
}

what_is_configured_by_hand_counts_more_than_credential_and_answers() {
    echo "message_size = 1" > /etc/sendmail-shim/config.toml
    echo "sendmail-shim sendmail-shim/relayhost string asked.example" | debconf-set-selections
    dpkg-reconfigure -f noninteractive sendmail-shim
    grep -q asked.example /etc/sendmail-shim/debconf.toml
    sendmail-shim config | grep '^relayhost = .*127\.0\.0\.1'
    sendmail-shim config | grep -x 'message_size = 1'
    rm /etc/sendmail-shim/config.toml
}

a_credential_that_cannot_be_used_is_told_and_harms_nothing() {
    systemctl -q is-failed sendmail-shim-provision.service
    journalctl -u sendmail-shim-provision.service | grep 'credential.toml:2:1: unknown setting `relayhots`; did you mean `relayhost`?'
    alice_sends "with a wrong credential"
    wait_for 60 arrived "with a wrong credential"
}

enrolled() { smarthost enroll list | grep "^$1  enrolled since"; }
known_by_key() { smarthost clients --json | grep "\"client\":\"$1\"" | grep '"known_by":"key"'; }

a_line_in_the_file_of_root_is_used_by_the_unit_and_removed() {
    local key=/var/spool/sendmail-shim/identity.pem
    install /root/smarthost_*.deb /root/sendmail-shim_*.deb
    # By its address it is not let in.
    echo 'networks = ["192.0.2.0/24"]' > /etc/smarthost/config.toml
    systemctl restart smarthost.service
    echo "admin = \"admins@$(hostname -f)\"" > /etc/sendmail-shim/config.toml
    (umask 077; smarthost enroll vm7 --relay 127.0.0.1:465 > /etc/sendmail-shim/enroll)
    alice_sends "before the machine had a key"
    systemctl start sendmail-shim-enroll.service
    [ ! -e /etc/sendmail-shim/enroll ]
    [ "$(stat -c '%U %a' $key)" = "sendmail-shim 600" ]
    enrolled vm7
    wait_for 60 arrived "before the machine had a key"
    wait_for 30 known_by_key vm7
    # As it was, for the next boot: with a line of another name.
    smarthost enroll vm8 --relay 127.0.0.1:465 > /root/sendmail-shim.enroll
    systemctl stop sendmail-shim-enroll.service sendmail-shim.service sendmail-shim.socket
    rm $key /var/spool/sendmail-shim/enrolled.toml
}

a_machine_started_with_a_line_as_its_credential_is_known_by_a_key() {
    wait_for 60 enrolled vm8
    alice_sends "after the line was a credential"
    wait_for 60 arrived "after the line was a credential"
    wait_for 30 known_by_key vm8
    # It stays there, and is not used again.
    systemctl restart sendmail-shim-enroll.service
    enrolled vm8
}

cloud_init_is_given_the_example() {
    install /root/smarthost_*.deb cloud-init
    cp /root/sendmail-shim_*.deb /srv/pool
    (cd /srv/pool && apt-ftparchive packages . > Packages)
    apt-get -qq update
    mkdir -p /var/lib/cloud/seed/nocloud
    sed -e "s/string mail.example.org/string 127.0.0.1/; s/sha256:[0-9a-f]*/$(pin_of_smarthost)/; s/admins@example.org/admins@$(hostname -f)/" \
        /root/sendmail-shim-cloud-init.yaml > /var/lib/cloud/seed/nocloud/user-data
    echo "instance-id: $(hostname)" > /var/lib/cloud/seed/nocloud/meta-data
    printf 'network: {config: disabled}\nmanage_etc_hosts: false\npreserve_hostname: true\n' > /etc/cloud/cloud.cfg.d/90-test.cfg
}

a_machine_made_by_cloud_init_has_mail_with_no_hand() {
    cloud-init status --wait --long || true
    installed sendmail-shim
    sendmail-shim config | grep -x 'message_size = 10485760'
    alice_sends "from a machine that cloud-init made"
    wait_for 60 arrived "from a machine that cloud-init made"
}

# Reconfigures in a terminal, and answers the pin that is shown with $1. Prints what was seen.
reconfigure_in_a_terminal() { # yes|no
    python3 - "$1" "admins@$(hostname -f)" <<'PYTHON'
import os, pty, re, sys
answers = {"Relayhost that": "127.0.0.1", "System mail name": "example.org", "Address of the": sys.argv[2], "Believe this key": sys.argv[1]}
pid, terminal = pty.fork()
if pid == 0:
    os.environ.pop("DEBIAN_FRONTEND")
    os.environ["TERM"] = "dumb"
    os.execvp("dpkg-reconfigure", ["dpkg-reconfigure", "-f", "teletype", "sendmail-shim"])
seen, answered = "", 0
while True:
    try:
        seen += os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        break
    prompt = seen[answered:].split("\n")[-1]
    if re.search(r"(: |\] |\? )$", prompt):
        answered = len(seen)
        os.write(terminal, next((answers[key] for key in answers if key in prompt), "").encode() + b"\n")
print(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON
}

a_pin_is_fetched_shown_and_believed_after_a_yes() {
    local pin
    pin=$(pin_of_smarthost)
    rm -f /etc/sendmail-shim/*.toml
    printf 'sendmail-shim sendmail-shim/%s string %s\n' relayhost 127.0.0.1 pins '' mailname example.org admin "admins@$(hostname -f)" |
        debconf-set-selections

    # Nobody is there who could say yes.
    dpkg-reconfigure -f noninteractive sendmail-shim 2>&1 | grep "no pin is set"
    sendmail-shim config | absent '^pins'

    reconfigure_in_a_terminal no | tr -d '\r\n ' | grep -F "$pin"
    sendmail-shim config | absent '^pins'
    alice_sends "to a key that nobody believes yet"
    wait_for 30 sh -c "mailq | grep -i certificate"

    reconfigure_in_a_terminal yes
    grep -Fx "pins = \"$pin\"" /etc/sendmail-shim/debconf.toml
    sendmail -q
    wait_for 60 arrived "to a key that nobody believes yet"
}

an_unreachable_relayhost_is_told_and_a_preseeded_yes_believes_the_first_key() {
    systemctl stop smarthost.socket smarthost.service
    printf 'sendmail-shim sendmail-shim/%s\n' 'pins string' 'accept-pin boolean true' | debconf-set-selections
    dpkg-reconfigure -f noninteractive sendmail-shim 2>&1 | grep "go on without its pin"
    alice_sends "while no pin could be fetched"
    [ "$(waiting)" = 1 ]
    systemctl start smarthost.socket smarthost.service
    dpkg-reconfigure -f noninteractive sendmail-shim
    grep -F "$(pin_of_smarthost)" /etc/sendmail-shim/debconf.toml
    wait_for 60 arrived "while no pin could be fetched"
}

the_relays_questions_become_its_configuration() {
    rm -f /etc/smarthost/credential.toml # it counts more
    printf 'smarthost smarthost/%s\n' 'networks string 192.0.2.0/24, 2001:db8::/32' 'relayhost string [192.0.2.9]:25' \
        'hostname string relay.example.org' 'admins string a@example.org b@example.org' | debconf-set-selections
    dpkg-reconfigure -f noninteractive smarthost
    smarthost config | grep -v "^#" > /root/config # where a line stands may change
    grep -x 'hostname = "relay.example.org"' /root/config
    grep -x 'networks = \["127.0.0.0/8", "::1", "192.0.2.0/24", "2001:db8::/32"\]' /root/config
    grep -x 'relayhost = "\[192.0.2.9\]:25"' /root/config
    grep -x 'limits.per_client = \["100/day"\]' /root/config
    # An open relay is not what anybody wants.
    echo 'smarthost smarthost/networks string 0.0.0.0/0' | debconf-set-selections
    dpkg-reconfigure -f noninteractive smarthost 2>&1 | grep "open relay"
    smarthost config | grep -v "^#" | diff /root/config -
    systemctl -q is-active smarthost.service
}
