# shellcheck shell=bash
# The stories of the packages: the stages (stages/*.sh) in which a machine goes through them, for packaging/test/run and for Debian's own tests.
# Who tells them knows `stage NAME` and `reboot`.

life() {
    stage installing_over_exim_replaces_it_and_sets_no_privileged_bits
    stage without_answers_mail_is_queued_and_the_missing_relayhost_is_named
    stage with_answers_what_was_queued_arrives
    stage the_output_of_a_cron_job_arrives
    stage the_journal_finds_a_message_by_its_fields
    stage sandboxed_services_can_send_mail
    stage an_idle_agent_ends_and_comes_back_with_the_next_message
    stage mail_survives_a_killed_agent_and_waits_for_the_relayhost
    stage services_that_write_when_they_end_are_started
    reboot
    stage what_services_wrote_when_they_ended_was_queued
    stage waiting_mail_is_delivered_after_a_reboot
    stage no_number_of_restarts_and_no_broken_configuration_costs_a_socket
    stage reinstalling_keeps_queue_and_settings
    stage removing_keeps_the_queue
    stage purging_keeps_the_mail_that_waits
    stage removed_packages_leave_their_init_scripts
    reboot
    stage after_a_reboot_without_them_they_are_installed_again_and_serve
    stage purging_leaves_nothing
}

replacement() {
    stage a_relay_waits_for_the_machines_mail
    stage without_an_answer_what_was_there_is_named
    stage ssmtp_is_replaced
    stage msmtp_is_replaced
    stage nullmailer_is_replaced_with_its_queue
    stage dma_is_replaced_with_its_queue
    stage postfix_is_replaced_with_its_queue
    stage exim_is_replaced_with_its_queue
}

without_systemd() {
    stage sysvinit_takes_the_place_of_systemd
    reboot
    stage init_scripts_start_both_daemons_without_rights
    stage a_killed_daemon_loses_nothing
    reboot
    stage init_scripts_start_both_daemons_at_boot
    stage purging_leaves_nothing
}
