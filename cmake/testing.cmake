# Tests and fuzz targets. ./dev test builds and runs what is registered here.
enable_testing()
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
if(NOT CMOCKA_FOUND)
  message(WARNING "cmocka is not installed: the programs under tests/ are not built.")
endif()
add_custom_target(tests_threads COMMENT "tests that the thread sanitizer suite runs")

# dr_test(NAME [LONG] [THREADS] [RELEASE_ONLY] [ALLOC] [SOURCES ...] [LIBS ...] [ARGS ...]): a cmocka program
# tests/<folder>/test_<rest>.c, where NAME is <folder>_<rest>; run from the source tree, so that golden files are found by
# relative path. Exit code 77 means skipped; print `skipped: REASON` on a line first.
#   LONG          only in ./dev test --long
#   THREADS       also built and run under the thread sanitizer
#   RELEASE_ONLY  not run under sanitizers: too slow there, or measures something they change
#   ALLOC         allocations of the linked code can be counted and made to fail (tests/support/alloc.h)
#   ARGS          arguments of the program
function(dr_test name)
  cmake_parse_arguments(A "LONG;THREADS;RELEASE_ONLY;ALLOC" "" "SOURCES;LIBS;ARGS" ${ARGN})
  if(NOT CMOCKA_FOUND OR (A_RELEASE_ONLY AND DR_SANITIZE))
    return()
  endif()
  string(REGEX REPLACE "^[^_]+_(.*)$" "\\1" rest ${name}) # to the end: "^" alone would match again after each piece
  add_executable(test_${name} test_${rest}.c ${A_SOURCES})
  target_link_libraries(test_${name} PRIVATE dr_flags ${A_LIBS} PkgConfig::CMOCKA)
  set_target_properties(test_${name} PROPERTIES SHARED_GRAMMARS ON)
  if(A_ALLOC)
    target_sources(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/alloc.c)
    foreach(symbol malloc calloc realloc aligned_alloc posix_memalign)
      target_link_options(test_${name} PRIVATE -Wl,--wrap=${symbol})
    endforeach()
  endif()
  add_test(NAME ${name} COMMAND test_${name} ${A_ARGS} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set(labels)
  if(A_LONG)
    list(APPEND labels long)
  endif()
  if(A_THREADS)
    list(APPEND labels threads)
    add_dependencies(tests_threads test_${name})
  endif()
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS "${labels}")
endfunction()

# dr_test_script(NAME [LONG] [RELEASE_ONLY] COMMAND ...): a test that is a command, run from the source tree.
function(dr_test_script name)
  cmake_parse_arguments(A "LONG;RELEASE_ONLY" "" "COMMAND" ${ARGN})
  if(A_RELEASE_ONLY AND DR_SANITIZE)
    return()
  endif()
  add_test(NAME ${name} COMMAND ${A_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
  if(A_LONG)
    set_tests_properties(${name} PROPERTIES LABELS long)
  endif()
endfunction()

# dr_fuzz(NAME [SOURCES ...] [LIBS ...]): tests/fuzz/fuzz_NAME.c with LLVMFuzzerTestOneInput. Ordinarily a small driver feeds it the
# files of tests/fuzz/seeds/NAME and seeded mutations of them, as a test of builds with the address sanitizer; with DR_LIBFUZZER it
# is a libFuzzer program (./dev fuzz NAME).
function(dr_fuzz name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  if(NOT DR_SANITIZE MATCHES address)
    return()
  endif()
  add_executable(fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c ${A_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE dr_flags ${A_LIBS})
  set_target_properties(fuzz_${name} PROPERTIES SHARED_GRAMMARS ON)
  # libFuzzer has no header that declares its entry.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c PROPERTIES COMPILE_OPTIONS -Wno-missing-prototypes)
  if(DR_LIBFUZZER)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    return()
  endif()
  target_sources(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/driver.c)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz/${name}) # an input that fails is left there
  add_test(NAME fuzz_${name}
           COMMAND fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/seeds/${name}
           WORKING_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz/${name})
  set_tests_properties(fuzz_${name} PROPERTIES LABELS fuzz TIMEOUT 600)
endfunction()
