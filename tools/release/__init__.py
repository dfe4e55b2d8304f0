# SPDX-License-Identifier: MIT
"""What people install: packages for `mip`, the wheel, firmware images, and what they hash to."""
