# fish completion for allot(1). A program's own arguments complete as they do without `allot run` before it.

# The words after `allot run` and its options: the program and its arguments.
function __allot_program
    set -l words (commandline -opc)
    set -e words[1..2]
    while set -q words[1]
        switch $words[1]
            case --
                set -e words[1]
                break
            case -o --output --harden
                set -e words[1]
                set -q words[1]; and set -e words[1]
            case '-*'
                set -e words[1]
            case '*'
                break
        end
    end
    set -q words[1]; and printf '%s\n' $words
end

function __allot_in_run
    __fish_seen_subcommand_from run; and not count (__allot_program) >/dev/null
end

function __allot_wants_program
    __fish_seen_subcommand_from run; and begin
        count (__allot_program) >/dev/null; or not string match -q -- '-*' (commandline -ct)
    end
end

complete -c allot -f
complete -c allot -n __fish_use_subcommand -a run -d "Run a program on allot's malloc"
complete -c allot -n __fish_use_subcommand -a stats -d "Show what a running program's heap is like"
complete -c allot -n __fish_use_subcommand -a help -d "Everything about a command"
complete -c allot -n __fish_use_subcommand -s h -l help -d "List the commands"
complete -c allot -n __fish_use_subcommand -l version -d "Print the version"
complete -c allot -n "__fish_seen_subcommand_from help" -a "run stats"
complete -c allot -n __allot_in_run -s s -l stats -d "Print what the heap was like"
complete -c allot -n __allot_in_run -s j -l json -d "The same as one line of JSON"
complete -c allot -n __allot_in_run -s o -l output -r -F -d "The same into a file"
complete -c allot -n __allot_in_run -l share -d "Let allot stats look into it"
complete -c allot -n __allot_in_run -l guard -d "Watch one block of many"
complete -c allot -n __allot_in_run -l harden -x -a "0 1 2 3" -d "Check every free"
complete -c allot -n __allot_in_run -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from stats" -s c -l classes -d "Only size classes"
complete -c allot -n "__fish_seen_subcommand_from stats" -s t -l heaps -d "Only heaps"
complete -c allot -n "__fish_seen_subcommand_from stats" -s g -l tags -d "Only tags"
complete -c allot -n "__fish_seen_subcommand_from stats" -s e -l every -x -d "Again and again, seconds"
complete -c allot -n "__fish_seen_subcommand_from stats" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from stats" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from stats" -a "(command -q allot; and allot stats 2>/dev/null | awk 'NR > 1 { print \$1 \"\\t\" \$2 }')"
complete -c allot -n __allot_wants_program -a "(complete -C (string join ' ' -- (__allot_program) (commandline -ct)))"
