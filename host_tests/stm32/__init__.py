# SPDX-License-Identifier: MIT
"""STM32 boards, emulated from their registers on, for firmware that nobody has changed."""
