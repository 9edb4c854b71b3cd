# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_smarthost_global_optspecs
    string join \n config= h/help V/version
end

function __fish_smarthost_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_smarthost_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_smarthost_using_subcommand
    set -l cmd (__fish_smarthost_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c smarthost -n "__fish_smarthost_needs_command" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_needs_command" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_needs_command" -s V -l version -d 'Print version'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "run" -d 'Run the daemon in the foreground (systemd does this)'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "check" -d 'Check the configuration, all files that it names, the relayhost, DNS and the disk; exit 0 if all is right'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "reload" -d 'Let the daemon read the configuration anew; exit 0 when it is in force'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "explain" -d 'Tell what would be decided about a recipient and why, or where mail for an address goes; sends nothing'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "report" -d 'Look back: mail that was refused, and how to let a sender pass'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "config" -d 'Print the settings that differ from the default'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "queue" -d 'Look at the mail that waits, try it now, hold it, delete it or return it'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "drain" -d 'Empty this server into another one: new mail is refused for now, queued mail moves as it is'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "clients" -d 'List the machines that bring mail: names, keys, counts by day, last message, version of the agent'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "limits" -d 'Look at what clients have sent, raise a limit, or forget what was counted'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "expected" -d 'Mail that must come: list it, declare more of it, or forget it'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "pin" -d 'Print the pins of our certificate, ready to be pasted into the clients\' configuration'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "dkim" -d 'Make keys that sign mail (DKIM), and see whether DNS publishes them'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "passwd" -d 'Let somebody log in, with another password or no more; without a name: list who may'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "pipe" -d 'Run the programs of a pipe transport in a unit of their own: speaks LMTP on standard input (systemd does this)'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "init" -d 'Set a relay up: asks what it cannot find out, shows and checks the file, and writes it after a yes'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "import" -d 'Make Postfix\'s configuration ours: show it with a report of each parameter, or write it'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "provision" -d 'Write settings that come with the machine or with the package into a file of their own; what config.toml says counts more'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "web" -d 'The status page: its token'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "trace" -d 'Tell the whole way of a message, from the machine that sent it to its end, or follow a client or destination live'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "top" -d 'How it goes, anew each second, in a terminal: destinations, senders, clients, refusals, and who is asked; ? tells the keys'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "status" -d 'The daemon in numbers'
complete -c smarthost -n "__fish_smarthost_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand run" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand run" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand check" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand check" -l json -d 'As JSON'
complete -c smarthost -n "__fish_smarthost_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand reload" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l client -d 'The client\'s address' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l helo -d 'As the client calls itself; by default [IP]' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l from -d 'The envelope\'s sender; by default <>' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l to -d 'The recipient' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l login -d 'As if it had logged in as this user' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l pin -d 'As if it were known by its key under this name' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l utf8 -d 'As a client that speaks SMTPUTF8: addresses may have characters beyond ASCII in front of the @'
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l tls -d 'As if the session were encrypted'
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l probe -d 'Ask the next hop whether the recipient exists, where `reject_unverified_recipient` would'
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -l json -d 'As JSON'
complete -c smarthost -n "__fish_smarthost_using_subcommand explain" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and not __fish_seen_subcommand_from rejected help" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and not __fish_seen_subcommand_from rejected help" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and not __fish_seen_subcommand_from rejected help" -f -a "rejected" -d 'List the mail that was refused in the last 30 days, newest first, each with the rule and what would let its sender pass'
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and not __fish_seen_subcommand_from rejected help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and __fish_seen_subcommand_from rejected" -l to -d 'Only with a recipient that contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and __fish_seen_subcommand_from rejected" -l from -d 'Only with a sender that contains this; <> is the null sender' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and __fish_seen_subcommand_from rejected" -l since -d 'Only what was refused since then: 2d, 12h, 2026-11-22, "2026-11-22 07:51"' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and __fish_seen_subcommand_from rejected" -l client -d 'Only from this address' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and __fish_seen_subcommand_from rejected" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and __fish_seen_subcommand_from rejected" -l json -d 'One JSON object a line'
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and __fish_seen_subcommand_from rejected" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and __fish_seen_subcommand_from help" -f -a "rejected" -d 'List the mail that was refused in the last 30 days, newest first, each with the rule and what would let its sender pass'
complete -c smarthost -n "__fish_smarthost_using_subcommand report; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand config" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand config" -l all -d 'Print all settings in effect, each with what it means'
complete -c smarthost -n "__fish_smarthost_using_subcommand config" -l changed -d 'Print those that differ from the default (what is printed without an option too)'
complete -c smarthost -n "__fish_smarthost_using_subcommand config" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "list" -d 'List the mail that waits, each recipient with its reason'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "summary" -d 'Count the mail that waits by destination, sender, client or age, in columns of minutes as qshape has them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "show" -d 'Show one message: where it stands, and its header'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "flush" -d 'Try messages now, also where a destination is suspended; without ids, everything'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "hold" -d 'Keep messages without trying them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "release" -d 'Try held messages again'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "delete" -d 'Delete messages; nobody is told (what is being delivered at this moment may still be)'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "bounce" -d 'Return messages to their senders'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l recipient -d 'Those with a recipient that contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l destination -d 'Those with a recipient in this domain' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l client -d 'Those that came from this name or address' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l newer -d 'Those that came at most as long ago' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l reason -d 'Those whose reason to wait contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l all -d 'The whole queue'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l held -d 'Those on hold'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l by -d 'What is counted together; recipients by destination, messages otherwise' -r -f -a "destination\t''
sender\t''
client\t''
age\t''"
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l recipient -d 'Those with a recipient that contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l destination -d 'Those with a recipient in this domain' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l client -d 'Those that came from this name or address' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l newer -d 'Those that came at most as long ago' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l reason -d 'Those whose reason to wait contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l all -d 'The whole queue'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l held -d 'Those on hold'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from summary" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from show" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from show" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l recipient -d 'Those with a recipient that contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l destination -d 'Those with a recipient in this domain' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l client -d 'Those that came from this name or address' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l newer -d 'Those that came at most as long ago' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l reason -d 'Those whose reason to wait contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l all -d 'The whole queue'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l held -d 'Those on hold'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from flush" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l recipient -d 'Those with a recipient that contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l destination -d 'Those with a recipient in this domain' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l client -d 'Those that came from this name or address' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l newer -d 'Those that came at most as long ago' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l reason -d 'Those whose reason to wait contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l all -d 'The whole queue'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l held -d 'Those on hold'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from hold" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l recipient -d 'Those with a recipient that contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l destination -d 'Those with a recipient in this domain' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l client -d 'Those that came from this name or address' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l newer -d 'Those that came at most as long ago' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l reason -d 'Those whose reason to wait contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l all -d 'The whole queue'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l held -d 'Those on hold'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from release" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l recipient -d 'Those with a recipient that contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l destination -d 'Those with a recipient in this domain' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l client -d 'Those that came from this name or address' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l newer -d 'Those that came at most as long ago' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l reason -d 'Those whose reason to wait contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l all -d 'The whole queue'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l held -d 'Those on hold'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l recipient -d 'Those with a recipient that contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l destination -d 'Those with a recipient in this domain' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l client -d 'Those that came from this name or address' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l newer -d 'Those that came at most as long ago' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l reason -d 'Those whose reason to wait contains this' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l all -d 'The whole queue'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l held -d 'Those on hold'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from bounce" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the mail that waits, each recipient with its reason'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "summary" -d 'Count the mail that waits by destination, sender, client or age, in columns of minutes as qshape has them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one message: where it stands, and its header'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "flush" -d 'Try messages now, also where a destination is suspended; without ids, everything'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "hold" -d 'Keep messages without trying them'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "release" -d 'Try held messages again'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Delete messages; nobody is told (what is being delivered at this moment may still be)'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "bounce" -d 'Return messages to their senders'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand drain" -l to -d 'The server that takes the mail; it names this one in its `drain_from`' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand drain" -l pin -d 'The key that it must show, as its `smarthost pin` prints it' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand drain" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand drain" -l stop -d 'Take mail and deliver it again; what has left is delivered there'
complete -c smarthost -n "__fish_smarthost_using_subcommand drain" -l json -d 'The balance as JSON, and nothing else'
complete -c smarthost -n "__fish_smarthost_using_subcommand drain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand clients" -l silent-for -d 'Only those that used to write, and have not for so long: 3d, 12h' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand clients" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand clients" -l json -d 'One JSON object a client'
complete -c smarthost -n "__fish_smarthost_using_subcommand clients" -l csv -d 'Comma-separated values, with a column for each of the last 30 days'
complete -c smarthost -n "__fish_smarthost_using_subcommand clients" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and not __fish_seen_subcommand_from list show reset forget-node raise help" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and not __fish_seen_subcommand_from list show reset forget-node raise help" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and not __fish_seen_subcommand_from list show reset forget-node raise help" -f -a "list" -d 'List all clients with what they have sent, most first, and from where logins are refused'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and not __fish_seen_subcommand_from list show reset forget-node raise help" -f -a "show" -d 'Show one client, and how many logins failed from there'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and not __fish_seen_subcommand_from list show reset forget-node raise help" -f -a "reset" -d 'Forget what a client has sent, a limit that was raised, and logins that failed from there'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and not __fish_seen_subcommand_from list show reset forget-node raise help" -f -a "forget-node" -d 'Wait no more for a smarthost that shared the budget and is gone for good'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and not __fish_seen_subcommand_from list show reset forget-node raise help" -f -a "raise" -d 'Give one client another limit for a while, in the longest window (0: nothing at all)'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and not __fish_seen_subcommand_from list show reset forget-node raise help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from list" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from list" -l json -d 'One JSON object a line'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from show" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from reset" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from forget-node" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from forget-node" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from raise" -l until -d '`tomorrow` (in 24 hours), or after a time such as 12h or 7d' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from raise" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from raise" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all clients with what they have sent, most first, and from where logins are refused'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one client, and how many logins failed from there'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from help" -f -a "reset" -d 'Forget what a client has sent, a limit that was raised, and logins that failed from there'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from help" -f -a "forget-node" -d 'Wait no more for a smarthost that shared the budget and is gone for good'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from help" -f -a "raise" -d 'Give one client another limit for a while, in the longest window (0: nothing at all)'
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and not __fish_seen_subcommand_from list add forget help" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and not __fish_seen_subcommand_from list add forget help" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and not __fish_seen_subcommand_from list add forget help" -f -a "list" -d 'List the mail that must come, what is missing first'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and not __fish_seen_subcommand_from list add forget help" -f -a "add" -d 'Declare mail that must come; admins are told when it does not, and when it comes again'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and not __fish_seen_subcommand_from list add forget help" -f -a "forget" -d 'Expect it no more'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and not __fish_seen_subcommand_from list add forget help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from list" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from list" -l learned -d 'What comes regularly and could be expected, each with the number for `expected add --learned`'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from list" -l json -d 'One JSON object a line'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from add" -l client -d 'Whose: the name of its key, its login, its host name, its address or a network' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from add" -l sender -d 'From whom; * stands for anything' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from add" -l subject -d 'With which subject; * stands for anything' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from add" -l every -d 'How often it comes, at least: 1h, 1d, 7d, 31d' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from add" -l grace -d 'How late it may be; by default an eighth of that time' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from add" -l learned -d 'What was learned under this number' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from add" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from forget" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from forget" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the mail that must come, what is missing first'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from help" -f -a "add" -d 'Declare mail that must come; admins are told when it does not, and when it comes again'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from help" -f -a "forget" -d 'Expect it no more'
complete -c smarthost -n "__fish_smarthost_using_subcommand expected; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand pin" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand pin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and not __fish_seen_subcommand_from new check help" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and not __fish_seen_subcommand_from new check help" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and not __fish_seen_subcommand_from new check help" -f -a "new" -d 'Make a key for a domain, and print its DNS record and what to write into config.toml'
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and not __fish_seen_subcommand_from new check help" -f -a "check" -d 'Ask DNS whether it publishes our keys; exit 0 if all are there'
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and not __fish_seen_subcommand_from new check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and __fish_seen_subcommand_from new" -l selector -d 'The key\'s name in DNS, in front of ._domainkey. Default: the first of s1, s2, … that is free' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and __fish_seen_subcommand_from new" -l algorithm -r -f -a "rsa\t''
ed25519\t''"
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and __fish_seen_subcommand_from new" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and __fish_seen_subcommand_from check" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and __fish_seen_subcommand_from help" -f -a "new" -d 'Make a key for a domain, and print its DNS record and what to write into config.toml'
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and __fish_seen_subcommand_from help" -f -a "check" -d 'Ask DNS whether it publishes our keys; exit 0 if all are there'
complete -c smarthost -n "__fish_smarthost_using_subcommand dkim; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand passwd" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand passwd" -l generate -d 'Make a password, and show it once'
complete -c smarthost -n "__fish_smarthost_using_subcommand passwd" -l delete -d 'Let it log in no more'
complete -c smarthost -n "__fish_smarthost_using_subcommand passwd" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand pipe" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand pipe" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand init" -l root -d 'Where the machine\'s files are (etc/postfix, proc/net)' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand init" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand init" -l yes -d 'Ask nothing: take what is proposed for the rest, and write'
complete -c smarthost -n "__fish_smarthost_using_subcommand init" -l force -d 'With --yes: replace a file with settings of yours, and take a configuration over that does not pass the check'
complete -c smarthost -n "__fish_smarthost_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand import" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand import" -l apply -d 'Write the files instead of showing them'
complete -c smarthost -n "__fish_smarthost_using_subcommand import" -l force -d 'Overwrite our files'
complete -c smarthost -n "__fish_smarthost_using_subcommand import" -l json -d 'The report and the configuration as JSON'
complete -c smarthost -n "__fish_smarthost_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand provision" -l credential -d 'Settings as in config.toml; without the file nothing is done' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand provision" -l answers -d 'Settings one by one; several words in a value, between spaces or commas, are a list' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand provision" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand provision" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand web; and not __fish_seen_subcommand_from token help" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand web; and not __fish_seen_subcommand_from token help" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand web; and not __fish_seen_subcommand_from token help" -f -a "token" -d 'Print the token that the status page wants'
complete -c smarthost -n "__fish_smarthost_using_subcommand web; and not __fish_seen_subcommand_from token help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand web; and __fish_seen_subcommand_from token" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand web; and __fish_seen_subcommand_from token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand web; and __fish_seen_subcommand_from help" -f -a "token" -d 'Print the token that the status page wants'
complete -c smarthost -n "__fish_smarthost_using_subcommand web; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand trace" -l log -d 'Read this log instead of the journal, also of another machine, rotated or compressed; several are read together' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand trace" -l since -d 'Only what the log says since then: 2d, 12h, 2026-11-22, "2026-11-22 07:51". Default: 30d of the journal, all of a file' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand trace" -l last -d 'So many messages at most, the newest' -r
complete -c smarthost -n "__fish_smarthost_using_subcommand trace" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand trace" -l json -d 'One JSON object a message'
complete -c smarthost -n "__fish_smarthost_using_subcommand trace" -l live -d 'Follow the log until interrupted; without WHAT, all of it'
complete -c smarthost -n "__fish_smarthost_using_subcommand trace" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand top" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand top" -l once -d 'Print once and end'
complete -c smarthost -n "__fish_smarthost_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smarthost -n "__fish_smarthost_using_subcommand status" -l config -d 'The configuration file' -r -F
complete -c smarthost -n "__fish_smarthost_using_subcommand status" -l json -d 'As JSON'
complete -c smarthost -n "__fish_smarthost_using_subcommand status" -s h -l help -d 'Print help'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "run" -d 'Run the daemon in the foreground (systemd does this)'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "check" -d 'Check the configuration, all files that it names, the relayhost, DNS and the disk; exit 0 if all is right'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "reload" -d 'Let the daemon read the configuration anew; exit 0 when it is in force'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "explain" -d 'Tell what would be decided about a recipient and why, or where mail for an address goes; sends nothing'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "report" -d 'Look back: mail that was refused, and how to let a sender pass'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "config" -d 'Print the settings that differ from the default'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "queue" -d 'Look at the mail that waits, try it now, hold it, delete it or return it'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "drain" -d 'Empty this server into another one: new mail is refused for now, queued mail moves as it is'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "clients" -d 'List the machines that bring mail: names, keys, counts by day, last message, version of the agent'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "limits" -d 'Look at what clients have sent, raise a limit, or forget what was counted'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "expected" -d 'Mail that must come: list it, declare more of it, or forget it'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "pin" -d 'Print the pins of our certificate, ready to be pasted into the clients\' configuration'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "dkim" -d 'Make keys that sign mail (DKIM), and see whether DNS publishes them'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "passwd" -d 'Let somebody log in, with another password or no more; without a name: list who may'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "pipe" -d 'Run the programs of a pipe transport in a unit of their own: speaks LMTP on standard input (systemd does this)'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "init" -d 'Set a relay up: asks what it cannot find out, shows and checks the file, and writes it after a yes'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "import" -d 'Make Postfix\'s configuration ours: show it with a report of each parameter, or write it'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "provision" -d 'Write settings that come with the machine or with the package into a file of their own; what config.toml says counts more'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "web" -d 'The status page: its token'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "trace" -d 'Tell the whole way of a message, from the machine that sent it to its end, or follow a client or destination live'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "top" -d 'How it goes, anew each second, in a terminal: destinations, senders, clients, refusals, and who is asked; ? tells the keys'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "status" -d 'The daemon in numbers'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and not __fish_seen_subcommand_from run check reload explain report config queue drain clients limits expected pin dkim passwd pipe init import provision web trace top status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from report" -f -a "rejected" -d 'List the mail that was refused in the last 30 days, newest first, each with the rule and what would let its sender pass'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "list" -d 'List the mail that waits, each recipient with its reason'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "summary" -d 'Count the mail that waits by destination, sender, client or age, in columns of minutes as qshape has them'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "show" -d 'Show one message: where it stands, and its header'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "flush" -d 'Try messages now, also where a destination is suspended; without ids, everything'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "hold" -d 'Keep messages without trying them'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "release" -d 'Try held messages again'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "delete" -d 'Delete messages; nobody is told (what is being delivered at this moment may still be)'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "bounce" -d 'Return messages to their senders'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from limits" -f -a "list" -d 'List all clients with what they have sent, most first, and from where logins are refused'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from limits" -f -a "show" -d 'Show one client, and how many logins failed from there'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from limits" -f -a "reset" -d 'Forget what a client has sent, a limit that was raised, and logins that failed from there'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from limits" -f -a "forget-node" -d 'Wait no more for a smarthost that shared the budget and is gone for good'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from limits" -f -a "raise" -d 'Give one client another limit for a while, in the longest window (0: nothing at all)'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from expected" -f -a "list" -d 'List the mail that must come, what is missing first'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from expected" -f -a "add" -d 'Declare mail that must come; admins are told when it does not, and when it comes again'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from expected" -f -a "forget" -d 'Expect it no more'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from dkim" -f -a "new" -d 'Make a key for a domain, and print its DNS record and what to write into config.toml'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from dkim" -f -a "check" -d 'Ask DNS whether it publishes our keys; exit 0 if all are there'
complete -c smarthost -n "__fish_smarthost_using_subcommand help; and __fish_seen_subcommand_from web" -f -a "token" -d 'Print the token that the status page wants'
complete -c smarthost -n "__fish_smarthost_using_subcommand queue; and __fish_seen_subcommand_from list summary show flush hold release delete bounce" -f -a "(smarthost queue list --json 2> /dev/null | sed -n 's/.*\"queue_id\":\"\\([0-9A-Za-z.:]*\\).*/\\1/p')"
complete -c smarthost -n "__fish_smarthost_using_subcommand limits; and __fish_seen_subcommand_from show reset forget-node raise" -f -a "(smarthost limits list --json 2> /dev/null | sed -n 's/.*\"client\":\"\\([0-9A-Za-z.:]*\\).*/\\1/p')"
