# A floor is a folder and one static library. It sees its own headers and those of the floors it links, all of
# which are lower: an include that goes up fails to link, and tests/floors (a script) refuses it by name.

add_library(postern_options INTERFACE)
target_compile_options(postern_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
target_compile_definitions(postern_options INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_DISABLE_BOOST_COROUTINE POSTERN_VERSION="${PROJECT_VERSION}")
target_include_directories(postern_options INTERFACE ${PROJECT_SOURCE_DIR}/controller)
target_link_libraries(postern_options INTERFACE Boost::headers Threads::Threads)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports its own inlined standard library (string concatenation, std::variant) as suspicious.
  target_compile_options(postern_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
    -Wno-dangling-pointer -Wno-array-bounds)
  if(POSTERN_UNITY)
    # It takes a type of an unnamed namespace for one of a header where several sources are compiled as one.
    target_compile_options(postern_options INTERFACE -Wno-subobject-linkage)
  endif()
endif()

# postern_unity(TARGET [SIZE]): with POSTERN_UNITY its sources are compiled so many at once, 20 unless told: most floors as
# one. Most of the time of compiling one, and of clang-tidy, goes into headers and templates that its neighbours need as well.
# A name that shadows a neighbour's is none of the compiler's business there; the other builds look at each source alone.
function(postern_unity target)
  set(size ${ARGN} 20)
  list(GET size 0 size)
  if(POSTERN_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${size}
      UNITY_BUILD_CODE_BEFORE_INCLUDE "#pragma GCC diagnostic ignored \"-Wshadow\"")
  endif()
endfunction()

# What a floor and what a test is compiled with besides. With POSTERN_FUZZ the floors count their edges for libFuzzer, whose
# main only the targets of tests/fuzz link. With sanitizers a test compiles three times as fast where it is not optimised.
add_library(postern_floor_options INTERFACE)
add_library(postern_test_options INTERFACE)
if(POSTERN_FUZZ)
  target_compile_options(postern_floor_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(POSTERN_SANITIZE)
  target_compile_options(postern_test_options INTERFACE -O0)
endif()

# A precompiled header is compiled once and serves every target that has the flags of a floor, or of a test, and no others.
file(WRITE ${PROJECT_BINARY_DIR}/precompiled.cpp.new "// Nothing but a precompiled header.\n")
file(COPY_FILE ${PROJECT_BINARY_DIR}/precompiled.cpp.new ${PROJECT_BINARY_DIR}/precompiled.cpp ONLY_IF_DIFFERENT)
foreach(kind pure wire)
  set(header ${PROJECT_SOURCE_DIR}/cmake/${kind}_pch.hpp)
  foreach(owner ${kind} ${kind}_test)
    add_library(postern_precompiled_${owner} OBJECT EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/precompiled.cpp)
    target_link_libraries(postern_precompiled_${owner} PRIVATE postern_options)
    target_precompile_headers(postern_precompiled_${owner} PRIVATE ${header})
  endforeach()
  target_link_libraries(postern_precompiled_${kind} PRIVATE postern_floor_options)
  target_link_libraries(postern_precompiled_${kind}_test PRIVATE postern_test_options)
  target_precompile_headers(postern_precompiled_${kind}_test PRIVATE <doctest/doctest.h>)
endforeach()
foreach(owner wire wire_test)
  target_link_libraries(postern_precompiled_${owner} PRIVATE Boost::json OpenSSL::SSL)
endforeach()

# postern_precompiled(TARGET KIND): includes that header first; KIND is pure, wire (Asio and JSON are in it), pure_test or
# wire_test (doctest as well). The flags are those of a test or of a floor.
function(postern_precompiled target kind)
  if(kind MATCHES "_test$")
    target_link_libraries(${target} PRIVATE postern_test_options)
  else()
    target_link_libraries(${target} PRIVATE postern_floor_options)
  endif()
  target_precompile_headers(${target} REUSE_FROM postern_precompiled_${kind})
endfunction()

# postern_floor(NAME [LINKS lib...] [WIRE]): the sources of this folder as library postern_NAME.
# WIRE floors share the precompiled header that has Asio and JSON in it; the others do not see them.
function(postern_floor name)
  cmake_parse_arguments(arg "WIRE" "" "LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(NOT sources)
    add_library(postern_${name} INTERFACE)
    target_link_libraries(postern_${name} INTERFACE postern_options ${arg_LINKS})
    return()
  endif()
  add_library(postern_${name} STATIC ${sources})
  target_link_libraries(postern_${name} PUBLIC postern_options ${arg_LINKS})
  if(arg_WIRE)
    postern_precompiled(postern_${name} wire)
  else()
    postern_precompiled(postern_${name} pure)
  endif()
  postern_unity(postern_${name})
endfunction()

# postern_test(NAME [WIRE] [OPTIMISED] LINKS lib...): all *_test.cpp of this folder as one doctest program test_NAME, six
# sources at once with POSTERN_UNITY: each has a namespace of its own. OPTIMISED, whatever the preset, for what calculates for long.
function(postern_test name)
  cmake_parse_arguments(arg "WIRE;OPTIMISED" "TIMEOUT" "LINKS;SOURCES" ${ARGN})
  if(NOT arg_SOURCES)
    file(GLOB arg_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  endif()
  if(NOT arg_SOURCES)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(test_${name} ${arg_SOURCES})
  target_link_libraries(test_${name} PRIVATE doctest_main ${arg_LINKS})
  target_compile_definitions(test_${name} PRIVATE POSTERN_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    POSTERN_BINARY_DIR="${PROJECT_BINARY_DIR}")
  if(arg_OPTIMISED)
    target_compile_options(test_${name} PRIVATE -O2)
  elseif(arg_WIRE)
    postern_precompiled(test_${name} wire_test)
  else()
    postern_precompiled(test_${name} pure_test)
  endif()
  postern_unity(test_${name} 6)
  add_test(NAME ${name} COMMAND test_${name})
  # Side by side, those that may take longest begin first.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} COST ${arg_TIMEOUT})
endfunction()
