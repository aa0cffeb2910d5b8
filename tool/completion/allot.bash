# bash completion for allot(1). A program's own arguments complete as they do without `allot run` before it.

_allot()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i
    COMPREPLY=()

    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "run stats help --help --version" -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
    help)
        ((COMP_CWORD > 2)) || mapfile -t COMPREPLY < <(compgen -W "run stats" -- "$word")
        ;;
    stats)
        if [[ $before == -e || $before == --every || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --every) ]]; then
            :
        elif [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--classes --heaps --tags --every --json --help -c -t -g -e -j -h" -- "$word")
        else
            # Who shares: number and name, below the heading.
            mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" stats 2>/dev/null | awk 'NR > 1 { print $1, $2 }')" -- "$word")
        fi
        ;;
    run)
        # The first word that is no option, and no option's value, is the program.
        for ((i = 2; i < COMP_CWORD; i++)); do
            case ${COMP_WORDS[i]} in
            --) ((i++)); break ;;
            -o | --output | --harden) ((i++)) ;;
            -*) ;;
            =) ((i++)) ;;
            *) break ;;
            esac
        done
        if [[ $before == -o || $before == --output || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --output) ]] &&
            ((i >= COMP_CWORD)); then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        elif ((i < COMP_CWORD)) || [[ $before == -- ]]; then
            if declare -F _command_offset >/dev/null; then
                _command_offset $i
            elif ((i < COMP_CWORD)); then
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -c -- "$word")
            fi
        elif [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--stats --json --output --share --guard --harden --help -s -j -o -h --" -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -c -- "$word")
        fi
        ;;
    esac
}
complete -F _allot allot
