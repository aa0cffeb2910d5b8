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
            case -o --output --harden -p --pid --for --malloc
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

function __allot_in_record
    __fish_seen_subcommand_from record; and not count (__allot_program) >/dev/null
end

function __allot_wants_program
    __fish_seen_subcommand_from run record; and begin
        count (__allot_program) >/dev/null; or not string match -q -- '-*' (commandline -ct)
    end
end

complete -c allot -f
complete -c allot -n __fish_use_subcommand -a dump -d "Show a trace as text"
complete -c allot -n __fish_use_subcommand -a record -d "Record every allocation of a program"
complete -c allot -n __fish_use_subcommand -a scrub -d "Make a trace fit to be sent to others"
complete -c allot -n __fish_use_subcommand -a run -d "Run a program on allot's malloc"
complete -c allot -n __fish_use_subcommand -a stats -d "Show what a running program's heap is like"
complete -c allot -n __fish_use_subcommand -a snap -d "Take a picture of a running process's heap"
complete -c allot -n __fish_use_subcommand -a core -d "What a dead process's heap was like, and what was lost"
complete -c allot -n __fish_use_subcommand -a report -d "Say what a recorded program did with its memory"
complete -c allot -n __fish_use_subcommand -a leaks -d "Say what leaks, and where it was allocated"
complete -c allot -n __fish_use_subcommand -a diff -d "Compare two recorded runs, place by place"
complete -c allot -n __fish_use_subcommand -a compare -d "Say which allocation strategy serves a program best"
complete -c allot -n __fish_use_subcommand -a map -d "Draw a heap"
complete -c allot -n __fish_use_subcommand -a pages -d "Say what each policy of replacement makes of page references"
complete -c allot -n __fish_use_subcommand -a top -d "Watch what a running program does with its heap"
complete -c allot -n __fish_use_subcommand -a check -d "Hold a recorded run to budgets"
complete -c allot -n __fish_use_subcommand -a help -d "Everything about a command"
complete -c allot -n __fish_use_subcommand -s h -l help -d "List the commands"
complete -c allot -n __fish_use_subcommand -l version -d "Print the version"
complete -c allot -n __allot_in_record -s o -l output -r -F -d "The trace"
complete -c allot -n __allot_in_record -s p -l pid -x -a "(__fish_complete_pids)" -d "A process that runs"
complete -c allot -n __allot_in_record -l for -x -d "That long"
complete -c allot -n __allot_in_record -l no-stacks -d "Faster, and enough to replay"
complete -c allot -n __allot_in_record -l malloc -x -a "allot system" -d "Which malloc"
complete -c allot -n __allot_in_record -l lossless -d "Wait rather than lose events"
complete -c allot -n __allot_in_record -l verify -d "Compare every stack with the system's unwinder"
complete -c allot -n __allot_in_record -l leaks -d "Ask which blocks nothing points to"
complete -c allot -n __allot_in_record -s q -l quiet -d "No line at the end"
complete -c allot -n __allot_in_record -l json -d "That line as JSON"
complete -c allot -n __allot_in_record -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from dump" -s j -l json -d "A line of JSON for each event"
complete -c allot -n "__fish_seen_subcommand_from dump scrub" -s o -l output -r -F -d "Into a file"
complete -c allot -n "__fish_seen_subcommand_from scrub" -l key -x -d "The same names get the same hashes"
complete -c allot -n "__fish_seen_subcommand_from dump scrub" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from dump scrub" -F
complete -c allot -n "__fish_seen_subcommand_from help" -a "run record report leaks diff compare map pages check dump scrub snap core stats top"
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
complete -c allot -n "__fish_seen_subcommand_from report" -F
complete -c allot -n "__fish_seen_subcommand_from leaks" -F
complete -c allot -n "__fish_seen_subcommand_from diff" -F
complete -c allot -n "__fish_seen_subcommand_from check" -F
complete -c allot -n "__fish_seen_subcommand_from report" -s t -l text -d "As text"
complete -c allot -n "__fish_seen_subcommand_from report" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from report" -s s -l sort -x -a "peak end allocs temporary bytes growth reallocs slack pinned leaked" -d "One table only"
complete -c allot -n "__fish_seen_subcommand_from report" -s n -l top -x -d "So many rows"
complete -c allot -n "__fish_seen_subcommand_from report" -s p -l process -x -d "Of one process only"
complete -c allot -n "__fish_seen_subcommand_from report" -s F -l from -x -d "From that time on"
complete -c allot -n "__fish_seen_subcommand_from report" -s T -l to -x -d "Up to that time"
complete -c allot -n "__fish_seen_subcommand_from report" -s l -l lived -x -d "What lives less is temporary"
complete -c allot -n "__fish_seen_subcommand_from report" -s a -l advice -d "What to change, replayed"
complete -c allot -n "__fish_seen_subcommand_from report" -s x -l export -x -a "pprof folded speedscope massif heap heaptrack" -d "For another program"
complete -c allot -n "__fish_seen_subcommand_from report" -s o -l output -r -F -d "The page, or an export, goes there"
complete -c allot -n "__fish_seen_subcommand_from report" -s v -l view -x -a "timeline flame map sizes lifetimes sites strategies leaks threads diff all" -d "One view of the page"
complete -c allot -n "__fish_seen_subcommand_from report" -s B -l before -r -F -d "An earlier run beside it"
complete -c allot -n "__fish_seen_subcommand_from report" -l leaks -r -F -d "What leaks is by that snapshot"
complete -c allot -n "__fish_seen_subcommand_from report" -l strategies -d "Replay however long the trace is"
complete -c allot -n "__fish_seen_subcommand_from report" -l no-strategies -d "Do not replay"
complete -c allot -n "__fish_seen_subcommand_from report" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from leaks" -s s -l suppressions -r -F -d "Leaves out what it names"
complete -c allot -n "__fish_seen_subcommand_from leaks" -s r -l reachable -d "What is reachable as well"
complete -c allot -n "__fish_seen_subcommand_from leaks" -s n -l top -x -d "So many places"
complete -c allot -n "__fish_seen_subcommand_from leaks" -l process -x -d "Of one process only"
complete -c allot -n "__fish_seen_subcommand_from leaks" -s e -l exit-code -x -d "Status when something leaks"
complete -c allot -n "__fish_seen_subcommand_from leaks" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from leaks" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from diff" -s s -l sort -x -a "peak end allocs bytes temporary" -d "By the change of what"
complete -c allot -n "__fish_seen_subcommand_from diff" -s n -l top -x -d "So many places"
complete -c allot -n "__fish_seen_subcommand_from diff" -s f -l functions -d "Lines of a function are one place"
complete -c allot -n "__fish_seen_subcommand_from diff" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from diff" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from check" -s P -l max-peak -x -d "Live at once"
complete -c allot -n "__fish_seen_subcommand_from check" -s L -l max-live -x -d "Live at the end"
complete -c allot -n "__fish_seen_subcommand_from check" -s l -l max-leak -x -d "Lost"
complete -c allot -n "__fish_seen_subcommand_from check" -s a -l max-allocs -x -d "Allocations"
complete -c allot -n "__fish_seen_subcommand_from check" -s t -l max-temporary -x -d "Short-lived ones"
complete -c allot -n "__fish_seen_subcommand_from check" -s b -l baseline -r -F -d "Trace to compare to"
complete -c allot -n "__fish_seen_subcommand_from check" -l junit -r -F -d "As JUnit XML"
complete -c allot -n "__fish_seen_subcommand_from check" -l markdown -r -F -d "As a table"
complete -c allot -n "__fish_seen_subcommand_from check" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from check" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from snap" -F
complete -c allot -n "__fish_seen_subcommand_from snap" -s p -l pid -x -a "(__fish_complete_pids)" -d "The process"
complete -c allot -n "__fish_seen_subcommand_from snap" -s o -l output -r -F -d "The picture is kept there"
complete -c allot -n "__fish_seen_subcommand_from snap" -s l -l leaks -d "What leaks"
complete -c allot -n "__fish_seen_subcommand_from snap" -s a -l all -d "And what does not"
complete -c allot -n "__fish_seen_subcommand_from snap" -s s -l suppressions -r -F -d "Leaves out what it names"
complete -c allot -n "__fish_seen_subcommand_from snap" -l list -d "Every block"
complete -c allot -n "__fish_seen_subcommand_from snap" -s w -l who -x -d "Who points to it"
complete -c allot -n "__fish_seen_subcommand_from snap" -l path -x -d "How it is reached"
complete -c allot -n "__fish_seen_subcommand_from snap" -s r -l retained -x -d "What would go with it"
complete -c allot -n "__fish_seen_subcommand_from snap" -s n -l top -x -d "So many"
complete -c allot -n "__fish_seen_subcommand_from snap" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from snap" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from leaks" -l trace -r -F -d "Where a recorded process allocates"
complete -c allot -n "__fish_seen_subcommand_from leaks" -l no-stacks -d "The program keeps no stacks"
complete -c allot -n "__fish_seen_subcommand_from leaks" -s p -l pid -x -a "(__fish_complete_pids)" -d "Of a process that runs"
complete -c allot -n "__fish_seen_subcommand_from core" -F
complete -c allot -n "__fish_seen_subcommand_from core" -s a -l all -d "Also what was not lost"
complete -c allot -n "__fish_seen_subcommand_from core" -s n -l top -x -d "So many groups"
complete -c allot -n "__fish_seen_subcommand_from core" -s s -l suppressions -r -F -d "Leaves out what it names"
complete -c allot -n "__fish_seen_subcommand_from core" -s f -l fail-on -x -a "definite=0 possible=0 indirect=0" -d "Status 1 where there are more"
complete -c allot -n "__fish_seen_subcommand_from core" -l heap -d "Only what the heap was like"
complete -c allot -n "__fish_seen_subcommand_from core" -l list -d "Every block"
complete -c allot -n "__fish_seen_subcommand_from core" -s w -l who -x -d "Who points to it"
complete -c allot -n "__fish_seen_subcommand_from core" -s p -l path -x -d "How it was reached"
complete -c allot -n "__fish_seen_subcommand_from core" -s r -l retained -x -d "What would go with it"
complete -c allot -n "__fish_seen_subcommand_from core" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from core" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from compare" -F
complete -c allot -n "__fish_seen_subcommand_from compare" -l only -x -a "first next best worst next-best groups bins buddy slab two-level pool arena compact pages segments mcache allot glibc jemalloc mimalloc tcmalloc" -d "These only"
complete -c allot -n "__fish_seen_subcommand_from compare" -l no-models -d "Real mallocs only"
complete -c allot -n "__fish_seen_subcommand_from compare" -l no-real -d "Strategies only"
complete -c allot -n "__fish_seen_subcommand_from compare" -l with -x -d "A malloc more: NAME=PATH"
complete -c allot -n "__fish_seen_subcommand_from compare" -l rounds -x -d "Timed runs of each malloc"
complete -c allot -n "__fish_seen_subcommand_from compare" -l smallest -d "The least memory for each strategy"
complete -c allot -n "__fish_seen_subcommand_from compare" -l table -a "first next best worst next-best groups bins buddy slab two-level pool arena compact pages segments mcache allot" -d "The memory table"
complete -c allot -n "__fish_seen_subcommand_from compare" -l at -x -a peak -d "Moment of the table"
complete -c allot -n "__fish_seen_subcommand_from compare" -l rows -x -d "Of the table"
complete -c allot -n "__fish_seen_subcommand_from compare" -s o -l output -r -F -d "As a page"
complete -c allot -n "__fish_seen_subcommand_from compare" -l no-advice -d "No advice"
complete -c allot -n "__fish_seen_subcommand_from compare" -s p -l process -x -d "Of one process only"
complete -c allot -n "__fish_seen_subcommand_from compare" -l limit -x -d "The first calls only"
complete -c allot -n "__fish_seen_subcommand_from compare" -l no-stacks -d "Record without them"
complete -c allot -n "__fish_seen_subcommand_from compare" -l trace -r -F -d "Keep what is recorded"
complete -c allot -n "__fish_seen_subcommand_from compare" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from compare" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from pages" -F
complete -c allot -n "__fish_seen_subcommand_from pages" -s f -l frames -x -d "So many frames"
complete -c allot -n "__fish_seen_subcommand_from pages" -s P -l policies -x -a "opt gradual s3-fifo sieve arc clock lru fifo" -d "These only"
complete -c allot -n "__fish_seen_subcommand_from pages" -s o -l output -r -F -d "The curves as a page"
complete -c allot -n "__fish_seen_subcommand_from pages" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from pages" -l format -x -a "ids csv oracle lackey" -d "Of the file"
complete -c allot -n "__fish_seen_subcommand_from pages" -s c -l column -x -d "Of a table"
complete -c allot -n "__fish_seen_subcommand_from pages" -s a -l addresses -d "Ids are addresses, translate them"
complete -c allot -n "__fish_seen_subcommand_from pages" -l page-size -x -d "Of addresses"
complete -c allot -n "__fish_seen_subcommand_from pages" -l table -x -d "Bits of the levels of the page table"
complete -c allot -n "__fish_seen_subcommand_from pages" -l tlb -x -d "Entries and ways"
complete -c allot -n "__fish_seen_subcommand_from pages" -s w -l window -x -d "Of the reduction"
complete -c allot -n "__fish_seen_subcommand_from pages" -l no-code -d "Loads and stores only"
complete -c allot -n "__fish_seen_subcommand_from pages" -l limit -x -d "The first references only"
complete -c allot -n "__fish_seen_subcommand_from pages" -l trace -r -F -d "Keep the references"
complete -c allot -n "__fish_seen_subcommand_from pages" -l levels -x -d "Of gradual"
complete -c allot -n "__fish_seen_subcommand_from pages" -l pace -x -d "Of gradual"
complete -c allot -n "__fish_seen_subcommand_from pages" -l fresh -x -d "Of gradual"
complete -c allot -n "__fish_seen_subcommand_from pages" -l threads -x -d "So many"
complete -c allot -n "__fish_seen_subcommand_from pages" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from map" -F
complete -c allot -n "__fish_seen_subcommand_from map" -s p -l pid -x -a "(__fish_complete_pids)" -d "A process that runs"
complete -c allot -n "__fish_seen_subcommand_from map" -s o -l output -r -F -d "A PNG"
complete -c allot -n "__fish_seen_subcommand_from map" -s t -l time -d "Address by time"
complete -c allot -n "__fish_seen_subcommand_from map" -l at -x -a "peak end" -d "When"
complete -c allot -n "__fish_seen_subcommand_from map" -l process -x -d "Of several"
complete -c allot -n "__fish_seen_subcommand_from map" -s W -l width -x -d "Pixels or columns"
complete -c allot -n "__fish_seen_subcommand_from map" -s H -l height -x -d "Pixels or lines"
complete -c allot -n "__fish_seen_subcommand_from map" -l theme -x -a "light dark" -d "Of the PNG"
complete -c allot -n "__fish_seen_subcommand_from map" -s n -l top -x -d "So many places"
complete -c allot -n "__fish_seen_subcommand_from map" -s j -l json -d "As JSON"
complete -c allot -n "__fish_seen_subcommand_from map" -s h -l help -d "Options and examples"
complete -c allot -n "__fish_seen_subcommand_from top" -s p -l pid -x -a "(__fish_complete_pids)" -d "The process"
complete -c allot -n "__fish_seen_subcommand_from top" -s e -l every -x -d "How often"
complete -c allot -n "__fish_seen_subcommand_from top" -s v -l view -x -a "sites classes threads tags" -d "What to show"
complete -c allot -n "__fish_seen_subcommand_from top" -s s -l sort -x -a "live rate blocks total since" -d "By which figure"
complete -c allot -n "__fish_seen_subcommand_from top" -l folder -x -a "(__fish_complete_directories)" -d "Of snapshots"
complete -c allot -n "__fish_seen_subcommand_from top" -l once -d "One table as text"
complete -c allot -n "__fish_seen_subcommand_from top" -s n -l top -x -d "So many rows"
complete -c allot -n "__fish_seen_subcommand_from top" -s j -l json -d "A line of JSON each time"
complete -c allot -n "__fish_seen_subcommand_from top" -s h -l help -d "Options and examples"
