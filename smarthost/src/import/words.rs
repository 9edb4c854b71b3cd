//! Parameters that need no more than a word: why nothing here needs them, or what to do instead.

use super::{reader::Reader, report::Verdict};

/// Names between blanks, and what is said of each.
type Words = &'static [(&'static str, &'static str)];

/// Nothing is lost without them.
const IGNORED: Words = &[
    (
        "alternate_config_directories backwards_bounce_logfile_compatibility \
         berkeley_db_create_buffer_size berkeley_db_read_buffer_size command_directory \
         config_directory daemon_directory daemon_timeout data_directory debug_peer_level \
         debug_peer_list debugger_command default_database_type default_privs \
         export_environment fork_attempts fork_delay hash_queue_depth hash_queue_names \
         html_directory import_environment in_flow_delay ipc_idle ipc_timeout ipc_ttl \
         lmdb_map_size mail_name mail_owner mail_release_date mail_version mailq_path \
         manpage_directory max_idle max_use meta_directory multi_instance_directories \
         multi_instance_enable multi_instance_group multi_instance_name \
         multi_instance_wrapper newaliases_path openssl_path process_id_directory \
         program_directory proxy_read_maps proxy_write_maps qmgr_message_active_limit \
         qmgr_message_recipient_limit queue_directory readme_directory sample_directory \
         sendmail_path service_throttle_time setgid_group shlib_directory stale_lock_time \
         syslog_facility syslog_name trigger_timeout known_tcp_ports authorized_flush_users \
         authorized_mailq_users authorized_submit_users anvil_status_update_time",
        "about Postfix's own files, processes and users",
    ),
    (
        "maillog_file maillog_file_compressor maillog_file_prefixes \
         maillog_file_rotate_suffix smtpd_client_port_logging smtp_tls_loglevel \
         smtpd_tls_loglevel smtp_tls_note_starttls_offer show_user_unknown_table_name \
         enable_long_queue_ids smtpd_tls_received_header smtpd_log_access_permit_actions \
         info_log_address_format lmtp_tls_loglevel smtpd_sasl_authenticated_header",
        "the journal has each event with its client and TLS; log.format = \"postfix\" writes lines as Postfix does",
    ),
    (
        "smtp_tls_ciphers smtp_tls_mandatory_ciphers smtp_tls_exclude_ciphers \
         smtp_tls_mandatory_exclude_ciphers smtp_tls_protocols smtp_tls_mandatory_protocols \
         smtpd_tls_ciphers smtpd_tls_mandatory_ciphers smtpd_tls_exclude_ciphers \
         smtpd_tls_mandatory_exclude_ciphers smtpd_tls_protocols \
         smtpd_tls_mandatory_protocols tls_preempt_cipherlist tls_high_cipherlist \
         tls_medium_cipherlist tls_low_cipherlist tls_export_cipherlist tls_null_cipherlist \
         tls_ssl_options tls_eecdh_auto_curves tls_eecdh_strong_curve tls_eecdh_ultra_curve \
         smtpd_tls_eecdh_grade smtpd_tls_dh1024_param_file smtpd_tls_dh512_param_file \
         tls_disable_workarounds tls_config_file tls_config_name lmtp_tls_ciphers \
         lmtp_tls_mandatory_ciphers lmtp_tls_protocols lmtp_tls_mandatory_protocols \
         lmtp_tls_exclude_ciphers tls_dane_digests tls_session_ticket_cipher",
        "TLS 1.2 and 1.3 with strong ciphers, always",
    ),
    (
        "smtp_tls_session_cache_database smtp_tls_session_cache_timeout \
         smtpd_tls_session_cache_database smtpd_tls_session_cache_timeout \
         smtpd_tls_always_issue_session_ids tls_random_source tls_random_bytes \
         tls_random_exchange_name tls_random_reseed_period tls_random_prng_update_period \
         tls_daemon_random_bytes tls_append_default_CA smtp_tls_connection_reuse \
         smtp_tls_scert_verifydepth smtpd_tls_ccert_verifydepth",
        "sessions and connections are resumed and reused by themselves",
    ),
    (
        "smtpd_tls_auth_only",
        "logins are taken under TLS only, always",
    ),
    (
        "smtpd_sasl_security_options smtpd_sasl_tls_security_options smtpd_sasl_local_domain \
         broken_sasl_auth_clients smtpd_sasl_exceptions_networks smtpd_sasl_service \
         smtpd_sasl_response_limit smtpd_sasl_mechanism_filter",
        "SCRAM-SHA-256 and PLAIN, under TLS, for names without a realm",
    ),
    (
        "smtp_sasl_security_options smtp_sasl_tls_security_options \
         smtp_sasl_tls_verified_security_options smtp_sasl_mechanism_filter smtp_sasl_type \
         smtp_sasl_path smtp_sasl_auth_soft_bounce smtp_sasl_auth_cache_name \
         smtp_sasl_auth_cache_time smtp_send_dummy_mail_auth cyrus_sasl_config_path",
        "the best of SCRAM-SHA-256, PLAIN and LOGIN, under TLS only; a refusal is temporary",
    ),
    (
        "biff mailbox_size_limit mail_spool_directory virtual_mailbox_base \
         virtual_mailbox_limit virtual_minimum_uid virtual_uid_maps virtual_gid_maps \
         mailbox_delivery_lock virtual_mailbox_lock deliver_lock_attempts deliver_lock_delay \
         local_command_shell strict_mailbox_ownership sun_mailtool_compatibility \
         expand_owner_alias owner_request_special frozen_delivered_to \
         prepend_delivered_header allow_mail_to_files forward_path require_home_directory \
         command_expansion_filter forward_expansion_filter resolve_null_domain \
         resolve_numeric_domain fast_flush_domains allow_min_user",
        "about mailboxes and users of the system, which an LMTP server has here",
    ),
    (
        "smtp_connect_timeout smtp_helo_timeout smtp_mail_timeout smtp_rcpt_timeout \
         smtp_data_init_timeout smtp_data_xfer_timeout smtp_data_done_timeout \
         smtp_quit_timeout smtp_rset_timeout smtp_starttls_timeout lmtp_connect_timeout \
         lmtp_data_done_timeout lmtp_lhlo_timeout smtpd_timeout smtpd_starttls_timeout \
         queue_run_delay transport_retry_time smtp_mx_address_limit smtp_mx_session_limit \
         smtp_skip_5xx_greeting smtp_skip_quit_response smtp_always_send_ehlo \
         smtp_connection_cache_on_demand smtp_connection_cache_destinations \
         smtp_connection_cache_time_limit smtp_pix_workarounds smtp_pix_workaround_delay_time \
         smtp_pix_workaround_threshold_time smtp_pix_workaround_maps smtp_randomize_addresses \
         smtp_balance_inet_protocols smtp_line_length_limit smtp_quote_rfc821_envelope \
         smtp_min_data_rate smtpd_min_data_rate smtp_per_request_deadline \
         smtpd_per_request_deadline smtpd_policy_service_timeout \
         smtpd_policy_service_max_idle smtpd_policy_service_max_ttl \
         smtpd_policy_service_retry_delay smtpd_policy_service_try_limit \
         smtpd_policy_service_request_limit milter_connect_timeout milter_command_timeout \
         milter_content_timeout milter_protocol",
        "waits and work-arounds of connections are fixed here, close to Postfix's defaults",
    ),
    (
        "smtpd_error_sleep_time smtpd_soft_error_limit smtpd_hard_error_limit \
         smtpd_junk_command_limit smtpd_recipient_limit smtpd_recipient_overshoot_limit \
         header_size_limit line_length_limit header_address_token_limit mime_nesting_limit \
         mime_boundary_length_limit hopcount_limit duplicate_filter_limit bounce_size_limit \
         body_checks_size_limit virtual_alias_expansion_limit virtual_alias_recursion_limit \
         virtual_alias_address_length_limit queue_minfree smtpd_history_flush_threshold \
         address_verify_pending_request_limit stress smtpd_client_ipv4_prefix_length \
         smtpd_client_ipv6_prefix_length",
        "bounds are fixed here: nothing that a client sends grows without one",
    ),
    (
        "address_verify_map address_verify_cache_cleanup_interval address_verify_poll_count \
         address_verify_poll_delay address_verify_sender_ttl \
         address_verify_positive_refresh_time address_verify_negative_expire_time \
         address_verify_negative_cache unverified_recipient_defer_code \
         unverified_recipient_tempfail_action unverified_sender_reject_code \
         unverified_sender_defer_code unverified_sender_tempfail_action",
        "what is known of recipients is kept in the state directory, and trouble of the next hop is not kept for long: verify",
    ),
    (
        "unknown_local_recipient_reject_code unknown_relay_recipient_reject_code \
         unknown_virtual_alias_reject_code unknown_virtual_mailbox_reject_code \
         unknown_address_reject_code unknown_client_reject_code unknown_hostname_reject_code \
         access_map_reject_code access_map_defer_code relay_domains_reject_code reject_code \
         invalid_hostname_reject_code non_fqdn_reject_code maps_rbl_reject_code defer_code \
         plaintext_reject_code multi_recipient_bounce_reject_code reject_tempfail_action \
         unknown_address_tempfail_action unknown_helo_hostname_tempfail_action \
         smtpd_forbid_bare_newline_reject_code",
        "codes are fixed: 550 where it is sure that something does not exist, 450 where DNS failed",
    ),
    (
        "smtpd_helo_required smtpd_delay_open_until_valid_rcpt strict_rfc821_envelopes \
         smtpd_forbid_bare_newline smtpd_forbid_bare_newline_exclusions \
         cleanup_replace_stray_cr_lf smtpd_forbid_unauth_pipelining smtpd_forbidden_commands \
         smtpd_noop_commands disable_vrfy_command allow_percent_hack swap_bangpath \
         allow_untrusted_routing smtpd_peername_lookup smtpd_reject_unlisted_recipient \
         smtpd_null_access_lookup_key helpful_warnings detect_8bit_encoding_header",
        "the protocol is kept strictly, always: HELO first, whole addresses, CRLF only, no routes in addresses, unknown recipients refused; VRFY tells nothing",
    ),
    (
        "smtputf8_enable smtputf8_autodetect_classes strict_smtputf8 strict_8bitmime \
         strict_8bitmime_body strict_7bit_headers strict_mime_encoding_domain \
         disable_mime_output_conversion disable_mime_input_processing \
         enable_idna2003_compatibility",
        "mail goes as it came, in whatever form its next host can take",
    ),
    (
        "canonical_classes sender_canonical_classes recipient_canonical_classes \
         masquerade_classes masquerade_exceptions propagate_unmatched_extensions \
         local_header_rewrite_clients remote_header_rewrite_domain header_from_format \
         undisclosed_recipients_header always_add_missing_headers message_drop_headers \
         message_strip_characters enable_original_recipient internal_mail_filter_classes \
         sendmail_fix_line_endings empty_address_recipient \
         empty_address_relayhost_maps_lookup_key \
         empty_address_default_transport_maps_lookup_key virtual_minimum_delivery_slots \
         verp_delimiter_filter default_verp_delimiters",
        "headers and addresses of clients' mail stay as they are",
    ),
    (
        "notify_classes 2bounce_notice_recipient bounce_notice_recipient \
         delay_notice_recipient error_notice_recipient double_bounce_sender \
         confirm_delay_cleared enable_threaded_bounces disable_verp_bounces",
        "admins are told of faults and limits; mail about bounces is kept on hold for them",
    ),
    (
        "smtp_host_lookup ignore_mx_lookup_error smtp_dns_resolver_options",
        "the hosts file comes first, then DNS; trouble of DNS is temporary",
    ),
    (
        "smtp_dns_support_level",
        "DNSSEC is asked for where tls_out or tls_policy say dane",
    ),
    (
        "milter_connect_macros milter_helo_macros milter_mail_macros milter_rcpt_macros \
         milter_data_macros milter_end_of_header_macros milter_end_of_data_macros \
         milter_unknown_command_macros milter_macro_v milter_macro_defaults",
        "milters hear Postfix's usual macros, or those that they ask for",
    ),
    (
        "smtp_helo_name lmtp_lhlo_name",
        "hostname stands in EHLO, too",
    ),
];

/// Something is done without them that was not, or not done that was.
const LOST: Words = &[
    (
        "header_checks mime_header_checks nested_header_checks body_checks \
         milter_header_checks smtp_header_checks smtp_body_checks smtp_mime_header_checks \
         smtp_nested_header_checks",
        "nothing looks into mail but milters: rspamd and others have rules for fields and bodies",
    ),
    (
        "canonical_maps sender_canonical_maps recipient_canonical_maps smtp_generic_maps \
         masquerade_domains lmtp_generic_maps",
        "addresses of clients are not rewritten: sendmail-shim does it on each machine (domain, revaliases), and virtual maps recipients",
    ),
    (
        "always_bcc sender_bcc_maps recipient_bcc_maps",
        "no copies are made: virtual can name two addresses for one, and a milter can add recipients",
    ),
    (
        "relocated_maps",
        "write a route for each: routes = { \"old@example.org\" = \"error:5.1.6 moved to new@example.org\" }",
    ),
    (
        "content_filter smtpd_proxy_filter receive_override_options default_filter_nexthop \
         smtpd_proxy_options smtpd_proxy_ehlo smtpd_proxy_timeout",
        "mail is not sent round through a filter: filters are milters here (amavisd-milter, rspamd, clamav-milter): milters",
    ),
    (
        "sender_dependent_relayhost_maps sender_dependent_default_transport_maps \
         smtp_sender_dependent_authentication",
        "the way of mail depends on its recipient alone: all senders share relayhost and relay_auth",
    ),
    (
        "smtpd_sasl_auth_enable",
        "logins are taken on all ports but 25 once auth names a file: smarthost passwd NAME writes it",
    ),
    (
        "smtpd_sasl_type smtpd_sasl_path",
        "logins stand in a file of ours, not at Dovecot or Cyrus: auth = { users = \"users\" }, and smarthost passwd NAME for each",
    ),
    (
        "smtpd_sender_login_maps smtpd_reject_unlisted_sender",
        "who may send as whom is not looked up: whoever may send may write any sender",
    ),
    (
        "smtpd_tls_ask_ccert smtpd_tls_req_ccert relay_clientcerts smtpd_tls_fingerprint_digest",
        "machines are known by their keys on all ports but 25: client_pins = { \"sha256:…\" = \"name\" }",
    ),
    (
        "smtpd_tls_CAfile smtpd_tls_CApath",
        "certificates of clients are known by their keys, not by authorities: client_pins",
    ),
    (
        "smtpd_tls_eccert_file smtpd_tls_eckey_file smtpd_tls_dcert_file smtpd_tls_dkey_file \
         tls_server_sni_maps",
        "one certificate is shown to all: tls",
    ),
    (
        "smtp_tls_eccert_file smtp_tls_eckey_file smtp_tls_dcert_file smtp_tls_dkey_file",
        "one certificate is shown to the relayhost: relay_tls",
    ),
    ("smtp_tls_per_site", "write it as lines of tls_policy"),
    (
        "smtp_tls_servername smtp_tls_verify_cert_match smtp_tls_secure_cert_match \
         smtp_tls_trust_anchor_file smtp_tls_force_insecure_host_tlsa_lookup \
         smtp_tls_dane_insecure_mx_policy smtp_tls_block_early_mail_reply",
        "lines of tls_policy name what a certificate must show, with match=",
    ),
    (
        "smtpd_client_connection_rate_limit smtpd_client_new_tls_session_rate_limit \
         smtpd_client_auth_rate_limit",
        "only messages, recipients and connections at once are limited: limits, concurrency.client; ten failed logins shut an address out for ten minutes",
    ),
    (
        "smtp_bind_address smtp_bind_address6 smtp_bind_address_enforce lmtp_bind_address",
        "the system chooses the address that mail goes out from: give the route a source (ip route … src)",
    ),
    ("smtp_address_preference", "both families are tried in turn"),
    (
        "smtp_tcp_port",
        "write the port behind the next hop, \"[host]:26\"",
    ),
    (
        "smtpd_client_connection_limit_exceptions",
        "another parameter of the same meaning counts: smtpd_client_event_limit_exceptions",
    ),
    (
        "disable_dns_lookups",
        "next hops in brackets are asked for no MX; all other names are",
    ),
    (
        "soft_bounce",
        "refusals are final here; hold mail back with `smarthost queue hold`",
    ),
    (
        "defer_transports",
        "hold mail with `smarthost queue hold`, or write a route retry:text",
    ),
    (
        "luser_relay fallback_transport fallback_transport_maps mailbox_transport_maps \
         mailbox_command_maps",
        "a local name without an alias is refused, or goes to lmtp: a line `@example.org somebody@example.org` in virtual catches all others",
    ),
    (
        "best_mx_transport proxy_interfaces permit_mx_backup_networks",
        "name the domains that mail is taken for: domains.local, domains.relay",
    ),
    (
        "smtpd_authorized_xforward_hosts smtp_send_xforward_command lmtp_send_xforward_command",
        "XFORWARD is not spoken; front ends say XCLIENT: xclient",
    ),
    (
        "smtpd_discard_ehlo_keywords smtpd_discard_ehlo_keyword_address_maps \
         smtp_discard_ehlo_keywords smtp_discard_ehlo_keyword_address_maps",
        "what is offered and used cannot be chosen; TLS of listeners can: listen",
    ),
    (
        "smtpd_reject_footer smtpd_reject_footer_maps default_rbl_reply rbl_reply_maps \
         unverified_recipient_reject_reason unverified_sender_reject_reason \
         bounce_template_file postscreen_dnsbl_reply_map",
        "texts of replies and bounces are fixed",
    ),
    (
        "smtpd_command_filter smtp_reply_filter smtp_dns_reply_filter smtpd_dns_reply_filter \
         default_delivery_status_filter smtp_delivery_status_filter smtpd_milter_maps",
        "commands and replies are not rewritten",
    ),
    (
        "maps_rbl_domains",
        "write \"reject_rbl_client LIST\" into restrictions for each",
    ),
    (
        "allow_mail_to_commands",
        "programs of alias files are run as PROGRAMS in smarthost.toml(5) says",
    ),
    (
        "lmtp_tls_security_level lmtp_sasl_auth_enable lmtp_sasl_password_maps \
         lmtp_tls_policy_maps lmtp_use_tls",
        "LMTP is spoken without TLS and login: use a unix socket",
    ),
    (
        "debug_peer_filter enable_errors_to extract_recipient_limit",
        "was taken out of Postfix long ago",
    ),
    (
        "milter_macro_daemon_name",
        "milters hear the host name as {daemon_name}: let them go by {auth_authen}, the client's address or {daemon_port}",
    ),
    (
        "message_reject_characters",
        "a milter can refuse by content",
    ),
    ("smtp_never_send_ehlo", "EHLO is always said first"),
];

/// Of those, what means that nothing was done.
const OFF: [(&str, &str); 6] = [
    ("smtp_address_preference", "any"),
    ("smtp_tcp_port", "smtp"),
    ("milter_macro_daemon_name", "$myhostname"),
    ("smtpd_sasl_type", "cyrus"),
    ("allow_mail_to_commands", "alias, forward"),
    ("smtp_tcp_port", "25"),
];

/// Parameters of which nothing is lost but with such a value, as part of the whole one.
const LOST_WITH: &[(&str, &str, &str)] = &[
    (
        "smtpd_reject_unlisted_recipient",
        "no",
        "who is in no table is refused here: name all recipients (aliases, virtual, relay_recipients), or a catch-all in virtual",
    ),
    (
        "smtp_sasl_mechanism_filter",
        "xoauth2",
        "a token of OAuth 2.0 is no password: set relay_auth.user, and relay_auth.token with a program that prints one",
    ),
    (
        "smtp_sasl_mechanism_filter",
        "oauthbearer",
        "a token of OAuth 2.0 is no password: set relay_auth.user, and relay_auth.token with a program that prints one",
    ),
];

/// What becomes of a parameter with this value.
pub(super) fn of(name: &str, value: &str) -> (Verdict, String) {
    let lost = LOST_WITH.iter().find(|(of, part, _)| {
        let mut words = value.split([' ', ',', '\t']);
        *of == name && words.any(|word| word.eq_ignore_ascii_case(part))
    });
    if let Some((_, _, text)) = lost {
        return (Verdict::NotSupported, (*text).to_owned());
    }
    let find = |words: Words| {
        let found = words
            .iter()
            .find(|(names, _)| names.split(' ').any(|it| it == name));
        found.map(|(_, text)| (*text).to_owned())
    };
    if let Some(text) = find(IGNORED) {
        return (Verdict::Ignored, text);
    }
    let off = value.is_empty() || value == "no" || value == "0" || OFF.contains(&(name, value));
    if let Some(text) = find(LOST) {
        return if off {
            (Verdict::Default, "is off, as here".to_owned())
        } else {
            (Verdict::NotSupported, text)
        };
    }
    let queue = [
        "_delivery_slot_cost",
        "_delivery_slot_discount",
        "_delivery_slot_loan",
        "_minimum_delivery_slots",
        "_recipient_refill_delay",
        "_recipient_refill_limit",
        "_extra_recipient_limit",
        "_concurrency_positive_feedback",
        "_concurrency_negative_feedback",
        "_failed_cohort_limit",
        "_recipient_limit",
    ];
    if queue.iter().any(|ending| name.ends_with(ending)) {
        return (
            Verdict::Ignored,
            "the queue takes turns and backs off by rules of its own".to_owned(),
        );
    }
    if name.ends_with("_transport_rate_delay") && !off {
        let text =
            "the pause of a destination is delay of a transport, that of a whole transport is none";
        return (Verdict::NotSupported, text.to_owned());
    }
    if name.ends_with("_time_limit") {
        return (
            Verdict::Ignored,
            "nothing here runs this service".to_owned(),
        );
    }
    let services = ["_service_name", "_service", "_transport_rate_delay"];
    if services.iter().any(|ending| name.ends_with(ending)) {
        return (
            Verdict::Ignored,
            "about Postfix's own files, processes and users".to_owned(),
        );
    }
    let text =
        "not known to this import: see postconf(5) for what it does, and whether you need that";
    (Verdict::NotSupported, text.to_owned())
}

/// All of which nothing was said yet.
pub(super) fn read(reader: &mut Reader<'_>) {
    let (name, other) = ("smtp_helo_name", reader.value("smtp_helo_name"));
    if reader.is_set(name) && !other.eq_ignore_ascii_case(&reader.value("myhostname")) {
        let text = format!(
            "EHLO says hostname here: where next hops must hear {other}, which DNS should have for this machine's address, set hostname = \"{other}\""
        );
        reader.note(Verdict::NotSupported, name, text);
    }
    let written: Vec<String> = reader.main.names().map(str::to_owned).collect();
    for name in &written {
        let expanded = reader.main.expanded(name);
        if expanded.endless {
            reader.note(Verdict::NotSupported, name, "it refers to itself, or is endless: Postfix does not start; what could be read of it was");
        }
        let (verdict, text) = of(name, &expanded.text);
        let told = reader.is_told(name);
        let matters = verdict != Verdict::Ignored || told;
        for unknown in expanded.unknown.iter().take(5).filter(|_| matters) {
            let text = format!(
                "nothing stands for ${unknown}, which is not set here and not known to this import"
            );
            reader.note(Verdict::NotSupported, name, text);
        }
        if told {
            continue;
        }
        let users: Vec<_> = written
            .iter()
            .filter(|other| names(reader.main.raw(other), name))
            .cloned()
            .collect();
        if verdict == Verdict::NotSupported && text.starts_with("not known") && !users.is_empty() {
            let text = format!(
                "a name of its own, read where others name it: {}",
                users.join(", ")
            );
            reader.note(Verdict::Ignored, name, text);
        } else {
            reader.note(verdict, name, text);
        }
    }
}

/// Whether a value names a parameter.
fn names(value: Option<&str>, name: &str) -> bool {
    let value = value.unwrap_or_default();
    let mut parts = value.split('$').skip(1);
    parts.any(|part| {
        let rest = part.trim_start_matches(['{', '(']).strip_prefix(name);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    })
}
