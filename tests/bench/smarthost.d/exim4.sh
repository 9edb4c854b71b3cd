# shellcheck shell=bash disable=SC2034
PKGS=exim4-daemon-light
PRESEED="exim4-config exim4/dc_eximconfig_configtype select no configuration at this time"
peer_config() { # plain only: a relay for the source, each message delivered at once by a process of its own, as it is Exim's way
    cat > "$ROOT/etc/exim4/exim4.conf" << END
primary_hostname = server.bench
local_interfaces = $SERVER
hostlist sources = $RELAY
acl_smtp_rcpt = rcpt
acl_smtp_data = data
rfc1413_query_timeout = 0s
keep_environment =
smtp_accept_max = 400
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 400
begin acl
rcpt:
  accept hosts = +sources
  deny
data:
  accept
begin routers
out:
  driver = manualroute
  transport = remote
  route_list = * $RELAY byname
begin transports
remote:
  driver = smtp
  port = 2525
begin retry
* * F,2h,1m
END
    rm -f "$ROOT/run/exim4/exim.pid"
}
peer_start() { in_box /usr/sbin/exim4 -bd -q10s >> "$ROOT/bench/daemon.err" 2>&1; }
peer_flush() { in_box /usr/sbin/exim4 -qff; }
peer_mailq() { in_box /usr/sbin/exim4 -bp; }
peer_clean() { rm -rf "$ROOT"/var/spool/exim4/{input,msglog,db}/*; }
