# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sendmail_shim_global_optspecs
    string join \n config= h/help V/version
end

function __fish_sendmail_shim_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sendmail_shim_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sendmail_shim_using_subcommand
    set -l cmd (__fish_sendmail_shim_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -s V -l version -d 'Print version'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "agent" -d 'Run the agent: take mail, keep it, deliver it. Started by systemd'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "check" -d 'Check configuration, alias files, spool, agent, and the way to each relayhost with its key'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "config" -d 'Print the settings that differ from the default'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "explain" -d 'Show what would become of the message on standard input: envelope and header, before and after, and why. Sends nothing'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "import" -d 'Make another program\'s configuration (ssmtp, nullmailer, dma, msmtp, Postfix as null client, Debian\'s Exim) into ours, or take its queue'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "init" -d 'Set a machine up: asks for the relayhost, its key, the domain and the administrators, shows and tries it, and writes it after a yes'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "pin" -d 'Print the pins of a host\'s key and certificate, ready to be pasted'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "provision" -d 'Write settings that come with the machine or with the package into a file of their own; what config.toml says counts more'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "queue" -d 'Look at the mail that waits, try it now, hold it, delete it or return it; without privileges, your own'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "trace" -d 'Tell the whole way of a message, from the program that sent it to its end, or follow a user or destination live'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "status" -d 'How the agent does: what waits, by destination and by user, since when and why, the relayhost, the disk; without privileges, your own mail'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "test" -d 'Send a test message as any program would, and follow it until the relayhost has taken it'
complete -c sendmail-shim -n "__fish_sendmail_shim_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand agent" -l idle -d 'Where systemd holds the sockets: end after so long without anybody connected or any mail queued' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand agent" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand agent" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand check" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand check" -l json -d 'One JSON object instead of the table'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand config" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand config" -l all -d 'Print all settings in effect, each with what it means'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand config" -l changed -d 'Print those that differ from the default (what is printed without an option too)'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand config" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand explain" -s f -d 'Envelope sender, as for sendmail -f' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand explain" -s F -d 'Full name, as for sendmail -F' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand explain" -l user -d 'As if this user had sent it; without it, you' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand explain" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand explain" -s t -d 'Take recipients from the header, as for sendmail -t'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand explain" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand import" -l from -d 'Whose configuration; without it, the one that is there' -r -f -a "ssmtp\t''
nullmailer\t''
dma\t''
msmtp\t''
postfix\t''
exim\t''"
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand import" -l root -d 'Where the other system\'s files are, and where ours are written' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand import" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand import" -l apply -d 'Write the files instead of showing them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand import" -l force -d 'Overwrite our files'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand import" -l queue -d 'The mail that waits in its queue instead of the configuration; without --from, of every program that has one'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand import" -l held -d 'With --queue: also what is on hold there, or failed for good'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand init" -l root -d 'Where the other system\'s files are, and where ours are written' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand init" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand init" -l yes -d 'Ask nothing: take what is proposed for the rest, and write'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand init" -l force -d 'With --yes: replace a file with settings of yours, and write what does not pass the check'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand pin" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand pin" -l wrapped -d 'TLS from the first byte. Without this and --starttls, both are tried, the likelier one first'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand pin" -l starttls -d 'STARTTLS only'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand pin" -l brief -d 'For scripts: one line for each host: its pin, starttls or wrapped, and what else it shows'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand pin" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand provision" -l credential -d 'Settings as in config.toml; without the file nothing is done' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand provision" -l answers -d 'Settings one by one; several words in a value, between spaces or commas, are a list' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand provision" -l directory -d 'Where the configuration is' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand provision" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand provision" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "list" -d 'List the mail that waits, each recipient with its reason'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "summary" -d 'Count the mail that waits by destination, sender, client or age, in columns of minutes as qshape has them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "show" -d 'Show one message: where it stands, and its header'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "flush" -d 'Try messages now, also where a destination is suspended; without ids, everything'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "hold" -d 'Keep messages without trying them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "release" -d 'Try held messages again'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "delete" -d 'Delete messages; nobody is told (what is being delivered at this moment may still be)'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "bounce" -d 'Return messages to their senders'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and not __fish_seen_subcommand_from list summary show flush hold release delete bounce help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l recipient -d 'Those with a recipient that contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l destination -d 'Those with a recipient in this domain' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l client -d 'Those that came from this name or address' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l newer -d 'Those that came at most as long ago' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l reason -d 'Those whose reason to wait contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l all -d 'The whole queue'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l held -d 'Those on hold'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l by -d 'What is counted together; recipients by destination, messages otherwise' -r -f -a "destination\t''
sender\t''
client\t''
age\t''"
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l recipient -d 'Those with a recipient that contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l destination -d 'Those with a recipient in this domain' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l client -d 'Those that came from this name or address' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l newer -d 'Those that came at most as long ago' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l reason -d 'Those whose reason to wait contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l all -d 'The whole queue'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l held -d 'Those on hold'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from summary" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from show" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from show" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l recipient -d 'Those with a recipient that contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l destination -d 'Those with a recipient in this domain' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l client -d 'Those that came from this name or address' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l newer -d 'Those that came at most as long ago' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l reason -d 'Those whose reason to wait contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l all -d 'The whole queue'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l held -d 'Those on hold'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from flush" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l recipient -d 'Those with a recipient that contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l destination -d 'Those with a recipient in this domain' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l client -d 'Those that came from this name or address' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l newer -d 'Those that came at most as long ago' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l reason -d 'Those whose reason to wait contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l all -d 'The whole queue'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l held -d 'Those on hold'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from hold" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l recipient -d 'Those with a recipient that contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l destination -d 'Those with a recipient in this domain' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l client -d 'Those that came from this name or address' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l newer -d 'Those that came at most as long ago' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l reason -d 'Those whose reason to wait contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l all -d 'The whole queue'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l held -d 'Those on hold'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from release" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l recipient -d 'Those with a recipient that contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l destination -d 'Those with a recipient in this domain' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l client -d 'Those that came from this name or address' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l newer -d 'Those that came at most as long ago' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l reason -d 'Those whose reason to wait contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l all -d 'The whole queue'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l held -d 'Those on hold'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l sender -d 'Those whose sender contains this; <> is the null sender' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l recipient -d 'Those with a recipient that contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l destination -d 'Those with a recipient in this domain' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l client -d 'Those that came from this name or address' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l older -d 'Those that came at least as long ago: 90m, 2d' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l newer -d 'Those that came at most as long ago' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l reason -d 'Those whose reason to wait contains this' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l all -d 'The whole queue'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l held -d 'Those on hold'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -l json -d 'JSON, one object a line; messages as postqueue -j prints them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from bounce" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the mail that waits, each recipient with its reason'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "summary" -d 'Count the mail that waits by destination, sender, client or age, in columns of minutes as qshape has them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one message: where it stands, and its header'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "flush" -d 'Try messages now, also where a destination is suspended; without ids, everything'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "hold" -d 'Keep messages without trying them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "release" -d 'Try held messages again'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Delete messages; nobody is told (what is being delivered at this moment may still be)'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "bounce" -d 'Return messages to their senders'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand trace" -l log -d 'Read this log instead of the journal, also of another machine, rotated or compressed; several are read together' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand trace" -l since -d 'Only what the log says since then: 2d, 12h, 2026-11-22, "2026-11-22 07:51". Default: 30d of the journal, all of a file' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand trace" -l last -d 'So many messages at most, the newest' -r
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand trace" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand trace" -l json -d 'One JSON object a message'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand trace" -l live -d 'Follow the log until interrupted; without WHAT, all of it'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand trace" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand status" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand status" -l json -d 'As JSON'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand status" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand test" -l config -d 'Configuration file' -r -F
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand test" -s h -l help -d 'Print help'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "agent" -d 'Run the agent: take mail, keep it, deliver it. Started by systemd'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "check" -d 'Check configuration, alias files, spool, agent, and the way to each relayhost with its key'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "config" -d 'Print the settings that differ from the default'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "explain" -d 'Show what would become of the message on standard input: envelope and header, before and after, and why. Sends nothing'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "import" -d 'Make another program\'s configuration (ssmtp, nullmailer, dma, msmtp, Postfix as null client, Debian\'s Exim) into ours, or take its queue'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "init" -d 'Set a machine up: asks for the relayhost, its key, the domain and the administrators, shows and tries it, and writes it after a yes'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "pin" -d 'Print the pins of a host\'s key and certificate, ready to be pasted'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "provision" -d 'Write settings that come with the machine or with the package into a file of their own; what config.toml says counts more'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "queue" -d 'Look at the mail that waits, try it now, hold it, delete it or return it; without privileges, your own'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "trace" -d 'Tell the whole way of a message, from the program that sent it to its end, or follow a user or destination live'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "status" -d 'How the agent does: what waits, by destination and by user, since when and why, the relayhost, the disk; without privileges, your own mail'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "test" -d 'Send a test message as any program would, and follow it until the relayhost has taken it'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and not __fish_seen_subcommand_from agent check config explain import init pin provision queue trace status test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "list" -d 'List the mail that waits, each recipient with its reason'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "summary" -d 'Count the mail that waits by destination, sender, client or age, in columns of minutes as qshape has them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "show" -d 'Show one message: where it stands, and its header'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "flush" -d 'Try messages now, also where a destination is suspended; without ids, everything'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "hold" -d 'Keep messages without trying them'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "release" -d 'Try held messages again'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "delete" -d 'Delete messages; nobody is told (what is being delivered at this moment may still be)'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "bounce" -d 'Return messages to their senders'
complete -c sendmail-shim -n "__fish_sendmail_shim_using_subcommand queue; and __fish_seen_subcommand_from list summary show flush hold release delete bounce" -f -a "(sendmail-shim queue list --json 2> /dev/null | sed -n 's/.*\"queue_id\":\"\\([0-9A-Za-z.:]*\\).*/\\1/p')"
