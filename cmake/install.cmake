# cmake --install PREFIX gives a working program: binary, bundled model, man page, completion. The program finds its model from
# where it stands (../share/deepread/models/nano), so a prefix can be moved.
if(NOT TARGET deepread)
  return()
endif()
include(GNUInstallDirs)
install(TARGETS deepread RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY models/nano DESTINATION ${CMAKE_INSTALL_DATADIR}/deepread/models)
install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(EXISTS ${PROJECT_SOURCE_DIR}/docs/man/deepread.1)
  install(FILES docs/man/deepread.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

# The completion comes from the program's own option table.
set(completion ${PROJECT_BINARY_DIR}/completion/deepread)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/completion)
add_custom_command(OUTPUT ${completion}
                   COMMAND deepread completion > ${completion}
                   DEPENDS deepread
                   VERBATIM)
add_custom_target(completion ALL DEPENDS ${completion})
install(FILES ${completion} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
