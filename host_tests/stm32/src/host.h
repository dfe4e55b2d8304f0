// SPDX-License-Identifier: MIT
//
// What main.c and host.c share: how the machine is driven from outside.
#pragma once

// Each gives the exit code.
int host_batch(void);
int host_control(void);
int host_live(void);
