complete -c mailq -f -a '--help --version'
