#!/bin/sh
# SPDX-License-Identifier: MIT
# The same reading and writing with the kernel's write-back cache.
exec sh "$(dirname "$0")/data.sh" -o writeback
