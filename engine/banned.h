/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Functions that have no bounds or no errors: naming one is a compile error.
 * Included on every compiler command line of this project (-include).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat strncpy strncat stpcpy sprintf vsprintf gets
#pragma GCC poison strtok strtok_r atoi atol atoll atof
