# SPDX-License-Identifier: MIT
# User C module `hsxvm`: USER_C_MODULES names this file.
#
#   -DHSX_ED25519=OFF     without the check of signatures
#   MONOCYPHER_DIR        (environment) the folder of monocypher.c and monocypher.h
option(HSX_ED25519 "check Ed25519 signatures" ON)
if(DEFINED ENV{MONOCYPHER_DIR})
    set(MONOCYPHER_DIR $ENV{MONOCYPHER_DIR})
else()
    set(MONOCYPHER_DIR ${CMAKE_CURRENT_LIST_DIR}/../../.cache/monocypher-4.0.3)
endif()

add_library(usermod_hsxvm INTERFACE)

target_sources(usermod_hsxvm INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/bindings/micropython.c
    ${CMAKE_CURRENT_LIST_DIR}/cobs.c
    ${CMAKE_CURRENT_LIST_DIR}/crc32.c
    ${CMAKE_CURRENT_LIST_DIR}/float16.c
    ${CMAKE_CURRENT_LIST_DIR}/frame_ring.c
    ${CMAKE_CURRENT_LIST_DIR}/loader.c
    ${CMAKE_CURRENT_LIST_DIR}/slcan.c
    ${CMAKE_CURRENT_LIST_DIR}/task.c
    ${CMAKE_CURRENT_LIST_DIR}/vm.c
)

target_include_directories(usermod_hsxvm INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}
    ${CMAKE_CURRENT_LIST_DIR}/bindings/builtin
)

if(HSX_ED25519)
    target_sources(usermod_hsxvm INTERFACE
        ${CMAKE_CURRENT_LIST_DIR}/bindings/signatures.c
        ${CMAKE_CURRENT_LIST_DIR}/ed25519.c
        ${CMAKE_CURRENT_LIST_DIR}/sha512.c
        ${MONOCYPHER_DIR}/monocypher.c
    )
    target_include_directories(usermod_hsxvm INTERFACE ${MONOCYPHER_DIR})
    target_compile_definitions(usermod_hsxvm INTERFACE HSX_ED25519=1)
endif()

target_link_libraries(usermod INTERFACE usermod_hsxvm)
