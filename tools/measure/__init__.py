# SPDX-License-Identifier: MIT
"""How fast, how large: `make bench` and `make size`.

`bench` and `size` are the two programs; each measures, prints a table and writes one JSON file
below `build/`. `record` knows files and tables, `node` measures inside the firmware (`on_node.py`
is what runs there), `host` against a plain interpreter (`plain_vm.c`), `store` counts what reaches
a medium, `linker_map` and `call_graph` read what the linker and the compiler have said about the
firmware.
Rule: figures are counted, or ratios within one run; nothing here fails because it is slow.
"""
