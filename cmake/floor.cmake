# A floor is a folder and one static library. It sees its own headers and those of the floors it links, all of
# which are lower: an include that goes up fails to link, and tests/floors (a script) refuses it by name.

add_library(postern_options INTERFACE)
target_compile_options(postern_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
target_compile_definitions(postern_options INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_DISABLE_BOOST_COROUTINE)
target_include_directories(postern_options INTERFACE ${PROJECT_SOURCE_DIR}/controller)
target_link_libraries(postern_options INTERFACE Boost::headers Threads::Threads)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports its own inlined standard library (string concatenation, std::variant) as suspicious.
  target_compile_options(postern_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
    -Wno-dangling-pointer -Wno-array-bounds)
endif()

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
    target_precompile_headers(postern_${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/wire_pch.hpp)
  else()
    target_precompile_headers(postern_${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pure_pch.hpp)
  endif()
endfunction()

# postern_test(NAME [WIRE] LINKS lib...): all *_test.cpp of this folder as one doctest program test_NAME.
function(postern_test name)
  cmake_parse_arguments(arg "WIRE" "TIMEOUT" "LINKS;SOURCES" ${ARGN})
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
  if(arg_WIRE)
    target_precompile_headers(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/wire_pch.hpp <doctest/doctest.h>)
  else()
    target_precompile_headers(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pure_pch.hpp <doctest/doctest.h>)
  endif()
  add_test(NAME ${name} COMMAND test_${name})
  # Side by side, those that may take longest begin first.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} COST ${arg_TIMEOUT})
endfunction()
