# SPDX-License-Identifier: MIT
"""Bytes to facts and back: what an image, a metadata section or a manifest says.

`header` and `sections` read an image as it streams by, `verify` a whole file; `metadata` and
`metadata_json` hold its values, commands and mailboxes; `manifest` (TOML or JSON) lists the
images of a card; `build` writes images and is for hosts only.

Pure functions and objects: nothing here touches a device, a clock or the VM, and the same bytes
get the same verdict on every tier. Imports `errors` only.
"""
