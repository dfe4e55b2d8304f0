# SPDX-License-Identifier: MIT
"""What all tests share: how far hypothesis searches.

Profiles: `ci` is what `make test` runs, the same examples each time; `fuzz` searches long and at
random, HSX_FUZZ_EXAMPLES of each property. HYPOTHESIS_PROFILE chooses.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

# Tests of two tiers compare through it: what differs is to be seen.
pytest.register_assert_rewrite("judge.golden")

# Two busy cores make an example slow without anything being wrong: no test fails on a clock.
settings.register_profile(
    "ci",
    derandomize=True,
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "fuzz",
    settings.get_profile("ci"),
    derandomize=False,
    max_examples=int(os.environ.get("HSX_FUZZ_EXAMPLES", "100000")),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
