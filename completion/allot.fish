# fish completion for allot
complete -c allot -n __fish_use_subcommand -f -a run -d "Run a program on allot's malloc"
complete -c allot -n __fish_use_subcommand -f -a help -d "Explain a command"
complete -c allot -n __fish_use_subcommand -f -l help -d "List the commands"
complete -c allot -n __fish_use_subcommand -f -l version -d "Print the version"
complete -c allot -n "__fish_seen_subcommand_from help" -f -a run
complete -c allot -n "__fish_seen_subcommand_from run" -s s -l stats -d "At its end, print what its heap was like"
complete -c allot -n "__fish_seen_subcommand_from run" -s j -l json -d "The same as one line of JSON"
complete -c allot -n "__fish_seen_subcommand_from run" -s o -l output -r -d "The same into a file"
complete -c allot -n "__fish_seen_subcommand_from run" -s h -l help -d "Explain"
complete -c allot -n "__fish_seen_subcommand_from run" -x -a "(__fish_complete_subcommand --fcs-skip=2)"
