# Tests that know malloc's family only, so that one source runs in several modes:
#
#   system   on the C library's malloc: proves that the test itself is right
#   preload  the same program with the drop-in preloaded
#   linked   with malloc meaning allot_malloc and so on, on the static toolkit; the only mode under a sanitizer, whose own
#            malloc must stay in place
#   static   a program without dynamic linking that has the drop-in in it
#   preempted  as linked, with a heap whose threads lose the processor at any of its atomic operations (stress/preempt.c);
#            without a sanitizer, and under TSan
#
# family_test(stress/exchange SOURCES exchange.c MODES system preload [ARGS ...] [PROGRAM swap] [SOAK 20] [CMOCKA]): tests
# stress.exchange.system and so on, with the folder as their label. PROGRAM: several tests share the program of that name.
# OPTIONS: of the process, as ALLOT_OPTIONS has them.
# HARDEN: linked and preempted also run in a process that is hardened so, as name.mode.harden1 and so on; under AddressSanitizer as
# one that is watched (os/watch.h), but at level 1, which is without seals.
# SAMPLED: linked also runs with each of these options (heap/choice.h), as name.linked.sample-64.
# SOAK: each test also runs under `make soak`, that many times longer.

find_package(Threads REQUIRED)

set(family_dir ${CMAKE_CURRENT_LIST_DIR})
set(family_common ${family_dir}/common/check.c ${family_dir}/common/pattern.c ${family_dir}/common/family.c)
set(family_definitions_linked ALLOT_NAMES)
set(family_definitions_static ALLOT_STATIC)
set(family_definitions_preempted ALLOT_NAMES)

# family_program(NAME MODE SOURCES... [CMOCKA]): the program `test-NAME-MODE`; a program of mode system serves preload too.
function(family_program name mode)
    cmake_parse_arguments(PARSE_ARGV 2 arg CMOCKA "" "")
    set(target test-${name}-${mode})
    if(TARGET ${target})
        return()
    endif()
    add_executable(${target} ${arg_UNPARSED_ARGUMENTS} ${family_common})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include ${CMOCKA_INCLUDE})
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE ${family_definitions_${mode}}
        $<$<BOOL:${ALLOT_SANITIZE}>:ALLOT_SANITIZED>) # gcc has no macro of its own for each of them
    # What a test does with malloc must reach malloc, also when it is useless or plainly wrong.
    target_compile_options(${target} PRIVATE -fno-builtin)
    target_link_libraries(${target} PRIVATE Threads::Threads $<$<BOOL:${arg_CMOCKA}>:${CMOCKA_LIBRARY}>)
    if(mode STREQUAL linked)
        target_link_libraries(${target} PRIVATE allot_static)
    elseif(mode STREQUAL preempted)
        target_link_libraries(${target} PRIVATE allot_preempted)
    elseif(mode STREQUAL static)
        target_link_libraries(${target} PRIVATE allot_malloc_static)
        target_link_options(${target} PRIVATE -static)
    else()
        target_link_libraries(${target} PRIVATE ${CMAKE_DL_LIBS})
    endif()
endfunction()

function(family_test path)
    cmake_parse_arguments(PARSE_ARGV 1 arg CMOCKA "PROGRAM;SOAK;OPTIONS" "SOURCES;MODES;ARGS;HARDEN;SAMPLED")
    string(REPLACE "/" "." name ${path})
    string(REGEX REPLACE "/.*" "" label ${path})
    set(program ${name})
    if(arg_PROGRAM)
        set(program ${label}.${arg_PROGRAM})
    endif()
    set(link_cmocka)
    if(arg_CMOCKA)
        set(link_cmocka CMOCKA)
    endif()
    foreach(mode ${arg_MODES})
        if(ALLOT_SANITIZE AND NOT mode STREQUAL linked AND NOT (mode STREQUAL preempted AND ALLOT_SANITIZE STREQUAL thread))
            continue()
        endif()
        set(build ${mode})
        if(mode STREQUAL preload)
            set(build system)
        endif()
        family_program(${program} ${build} ${arg_SOURCES} ${link_cmocka})
        set(environment)
        if(mode STREQUAL preload)
            set(environment LD_PRELOAD=$<TARGET_FILE:allot_malloc_shared>)
            add_dependencies(test-${program}-${build} allot_malloc_shared)
        endif()
        if(arg_OPTIONS)
            list(APPEND environment ALLOT_OPTIONS=${arg_OPTIONS})
        endif()
        add_test(NAME ${name}.${mode} COMMAND test-${program}-${build} ${arg_ARGS})
        set_tests_properties(${name}.${mode} PROPERTIES LABELS ${label} TIMEOUT 300 ENVIRONMENT "${environment}")
        foreach(level ${arg_HARDEN})
            if(mode MATCHES "linked|preempted")
                set(options harden=${level})
                if(ALLOT_SANITIZE STREQUAL address AND level GREATER 1)
                    string(APPEND options ",watch=on")
                endif()
                add_test(NAME ${name}.${mode}.harden${level} COMMAND test-${program}-${build} ${arg_ARGS})
                # At level 3 each guard is a request of the system: 400 runs of fault.exhaust, a minute of the processor's time.
                set_tests_properties(${name}.${mode}.harden${level} PROPERTIES LABELS ${label} TIMEOUT 900
                    ENVIRONMENT "ALLOT_OPTIONS=${options};${environment}")
            endif()
        endforeach()
        if(mode STREQUAL linked) # and where many blocks are chosen, and where every one is seen
            foreach(how ${arg_SAMPLED})
                string(REGEX REPLACE "[=,]" "-" suffix ${how})
                add_test(NAME ${name}.${mode}.${suffix} COMMAND test-${program}-${build} ${arg_ARGS})
                set_tests_properties(${name}.${mode}.${suffix} PROPERTIES LABELS ${label} TIMEOUT 300
                    ENVIRONMENT "ALLOT_OPTIONS=${how};${environment}")
            endforeach()
        endif()
        if(arg_SOAK)
            add_test(NAME ${name}.${mode}.soak COMMAND test-${program}-${build} ${arg_ARGS})
            set_tests_properties(${name}.${mode}.soak PROPERTIES LABELS soak TIMEOUT 7200
                ENVIRONMENT "TEST_SCALE=${arg_SOAK};${environment}")
        endif()
    endforeach()
endfunction()

add_subdirectory(${family_dir}/unit/family)
add_subdirectory(${family_dir}/unit/link)
add_subdirectory(${family_dir}/model)
add_subdirectory(${family_dir}/fuzz)
add_subdirectory(${family_dir}/stress)
add_subdirectory(${family_dir}/fault)
add_subdirectory(${family_dir}/watch)
add_subdirectory(${family_dir}/environment)
