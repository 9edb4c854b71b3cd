# shellcheck shell=bash
# Installing over other mail transport agents.

installing_over_nullmailer_works_too() {
    install nullmailer
    install /root/sendmail-shim_*.deb
    alice_sends "to an agent with nullmailer's place"
    [ "$(waiting)" = 1 ]
}
