# bash completion for allot(1). A program's own arguments complete as they do without `allot run` before it.

_allot()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i
    COMPREPLY=()

    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "run record report leaks diff compare map pages check dump scrub snap core stats top help --help --version" -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
    help)
        ((COMP_CWORD > 2)) || mapfile -t COMPREPLY < <(compgen -W "run record report leaks diff compare map pages check dump scrub snap core stats top" -- "$word")
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
    dump | scrub)
        if [[ $before == --key ]]; then
            :
        elif [[ $word == -* ]]; then
            local options="--json --output --help -j -o -h"
            [[ ${COMP_WORDS[1]} == dump ]] || options="--key --output --help -o -h"
            mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    snap)
        if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--pid --output --leaks --all --suppressions --list --who --path --retained --top --json --help -p -o -l -a -s -w -r -n -j -h" -- "$word")
        elif [[ $before != -p && $before != --pid ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    map)
        if [[ $before == --theme || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --theme) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "light dark" -- "${word#=}")
        elif [[ $before == --at || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --at) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "peak end" -- "${word#=}")
        elif [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--pid --output --time --at --process --width --height --theme --top --json --help -p -o -t -W -H -n -j -h" -- "$word")
        elif [[ $before != -p && $before != --pid ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    top)
        if [[ $before == -v || $before == --view || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --view) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "sites classes threads tags" -- "${word#=}")
        elif [[ $before == -s || $before == --sort || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --sort) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "live rate blocks total since" -- "${word#=}")
        elif [[ $before == --folder ]]; then
            mapfile -t COMPREPLY < <(compgen -d -- "$word")
        elif [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--pid --every --view --sort --folder --once --top --json --help -p -e -v -s -n -j -h" -- "$word")
        fi
        ;;
    core)
        if [[ $before == -f || $before == --fail-on || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --fail-on) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "definite=0 possible=0 indirect=0" -- "${word#=}")
        elif [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--all --top --suppressions --fail-on --heap --list --who --path --retained --json --help" -- "$word")
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    report)
        if [[ $before == -s || $before == --sort || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --sort) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "peak end allocs temporary bytes growth reallocs slack pinned leaked" -- "${word#=}")
        elif [[ $before == -v || $before == --view || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --view) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "timeline flame map sizes lifetimes sites strategies leaks threads diff all" -- "${word#=}")
        elif [[ $before == -x || $before == --export || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --export) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "pprof folded speedscope massif heap heaptrack" -- "${word#=}")
        elif [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--output --view --before --leaks --strategies --no-strategies --text --json --sort --top --process --from --to --lived --advice --export --help" -- "$word")
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    diff)
        if [[ $before == -s || $before == --sort || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --sort) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "peak end allocs bytes temporary" -- "${word#=}")
        elif [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--sort --top --functions --json --help" -- "$word")
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    leaks | check)
        if [[ $word != -* ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        elif [[ ${COMP_WORDS[1]} == leaks ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--suppressions --reachable --top --pid --no-stacks --trace --process --exit-code --json --help" -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -W "--max-peak --max-live --max-leak --max-allocs --max-temporary --baseline --junit --markdown --json --help" -- "$word")
        fi
        ;;
    compare)
        local last=${COMP_WORDS[COMP_CWORD - 2]}
        if [[ $before == --table || $before == --only || ($before == = && ($last == --table || $last == --only)) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "first next best worst next-best groups bins buddy slab two-level pool arena compact pages segments mcache allot glibc jemalloc mimalloc tcmalloc" -- "${word#=}")
        elif [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--only --no-models --no-real --with --rounds --smallest --table --at --rows --output --no-advice --process --limit --no-stacks --trace --json --help -o -p -j -h --" -- "$word")
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    pages)
        if [[ $before == -P || $before == --policies || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --policies) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "opt gradual s3-fifo sieve arc clock lru fifo" -- "${word#=}")
        elif [[ $before == --format || ($before == = && ${COMP_WORDS[COMP_CWORD - 2]} == --format) ]]; then
            mapfile -t COMPREPLY < <(compgen -W "ids csv oracle lackey" -- "${word#=}")
        elif [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--frames --policies --output --json --format --column --addresses --page-size --table --tlb --window --no-code --limit --trace --levels --pace --fresh --threads --help -f -P -o -j -c -a -w -h --" -- "$word")
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    run | record)
        local options="--stats --json --output --share --guard --harden --help -s -j -o -h --"
        [[ ${COMP_WORDS[1]} == run ]] ||
            options="--output --pid --for --no-stacks --malloc --lossless --verify --leaks --quiet --json --help -o -p -q -h --"
        # The first word that is no option, and no option's value, is the program.
        for ((i = 2; i < COMP_CWORD; i++)); do
            case ${COMP_WORDS[i]} in
            --) ((i++)); break ;;
            -o | --output | --harden | -p | --pid | --for | --malloc) ((i++)) ;;
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
            mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -c -- "$word")
        fi
        ;;
    esac
}
complete -F _allot allot
