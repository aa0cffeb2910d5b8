# What `make install` puts where: libraries, headers, the command, man pages, shell completion, and two ways for another
# project to find them, a CMake package and pkg-config files. Both are relocatable: they find the rest from where they lie,
# so that a tree may be installed with any prefix, staged under DESTDIR, or moved.

include(CMakePackageConfigHelpers)

set(libraries allot_shared allot_static allot_malloc_shared allot_malloc_static)
set_target_properties(allot_shared PROPERTIES EXPORT_NAME allot)
set_target_properties(allot_static PROPERTIES EXPORT_NAME allot-static)
set_target_properties(allot_malloc_shared PROPERTIES EXPORT_NAME allot-malloc)
set_target_properties(allot_malloc_static PROPERTIES EXPORT_NAME allot-malloc-static)

install(TARGETS ${libraries} EXPORT allot)
install(TARGETS allot_record_shared)
install(DIRECTORY include/allot DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET allot)
    install(TARGETS allot)
    install(TARGETS allot_replay DESTINATION ${CMAKE_INSTALL_LIBDIR}/allot)
endif()
set(completion ${PROJECT_SOURCE_DIR}/tool/completion)
install(FILES ${completion}/allot.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME allot)
install(FILES ${completion}/_allot DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${completion}/allot.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/allot)
configure_package_config_file(cmake/allot-config.cmake.in ${CMAKE_BINARY_DIR}/cmake/allot-config.cmake
    INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/cmake/allot-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cmake/allot-config.cmake ${CMAKE_BINARY_DIR}/cmake/allot-config-version.cmake
    DESTINATION ${package})
install(EXPORT allot FILE allot-targets.cmake NAMESPACE allot:: DESTINATION ${package})

file(RELATIVE_PATH prefix_from_pkgconfig ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
foreach(name allot allot-malloc)
    configure_file(cmake/${name}.pc.in ${CMAKE_BINARY_DIR}/cmake/${name}.pc @ONLY)
    install(FILES ${CMAKE_BINARY_DIR}/cmake/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

foreach(section 1 3 7)
    file(GLOB pages CONFIGURE_DEPENDS man/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
