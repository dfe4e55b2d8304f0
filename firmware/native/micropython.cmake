# SPDX-License-Identifier: MIT
# User C module `hsxvm`: USER_C_MODULES names this file.
add_library(usermod_hsxvm INTERFACE)

target_sources(usermod_hsxvm INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/bindings/micropython.c
    ${CMAKE_CURRENT_LIST_DIR}/crc32.c
    ${CMAKE_CURRENT_LIST_DIR}/float16.c
    ${CMAKE_CURRENT_LIST_DIR}/loader.c
    ${CMAKE_CURRENT_LIST_DIR}/task.c
    ${CMAKE_CURRENT_LIST_DIR}/vm.c
)

target_include_directories(usermod_hsxvm INTERFACE ${CMAKE_CURRENT_LIST_DIR})

target_link_libraries(usermod INTERFACE usermod_hsxvm)
