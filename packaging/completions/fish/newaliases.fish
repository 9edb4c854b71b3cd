complete -c newaliases -f -a '--help --version'
