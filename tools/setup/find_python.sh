#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints a Python that can make .venv and build the C core for it: 3.11 or newer, with venv, pip
# and its C headers. Prints nothing where there is none. PYTHON= names one to try first.
for python in "${PYTHON:-python3}" python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
    command -v "$python" >/dev/null 2>&1 || continue
    "$python" - 2>/dev/null <<'PY' && break
import ensurepip, os, sys, sysconfig, venv

if sys.version_info < (3, 11):
    sys.exit(1)
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    sys.exit(1)
print(sys.executable)
PY
done
exit 0
