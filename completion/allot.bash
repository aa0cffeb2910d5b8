# bash completion for allot
_allot() {
    local word=${COMP_WORDS[COMP_CWORD]} at
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "run help --help --version" -- "$word")
        return
    fi
    if [ "${COMP_WORDS[1]}" = help ]; then
        mapfile -t COMPREPLY < <(compgen -W "run" -- "$word")
        return
    fi
    for ((at = 2; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
        --) ((at += 1)) && break ;;
        -o | --output) ((at += 1)) ;;
        -*) ;;
        *) break ;;
        esac
    done
    # From `at` on stands the program that is to be run, which has a completion of its own.
    if ((at < COMP_CWORD)) || { ((at == COMP_CWORD)) && [[ $word != -* ]]; }; then
        _command_offset "$at"
    elif ((at > COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W "--stats --json --output --help --" -- "$word")
    fi
}
complete -F _allot allot
