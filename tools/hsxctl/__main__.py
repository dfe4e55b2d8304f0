# SPDX-License-Identifier: MIT
"""`python -m hsxctl`."""

import sys

from .cli import main

sys.exit(main())
