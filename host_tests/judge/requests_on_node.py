# SPDX-License-Identifier: MIT
"""Runs ON a node: answers messages by hand, and says what that costs. Nothing but what is frozen.

`MESSAGES`: hex texts, set by who sends this. Prints a line that
begins with = for each reply, in hex, then one of JSON.
"""

import binascii
import gc
import json

import hsx

rt = hsx.runtime()
gc.collect()
before = gc.mem_free()
from hsx.service.requests import Requests  # noqa: E402

requests = Requests(rt.service, b"unique", "board", lambda view: None)
gc.collect()
held = before - gc.mem_free()
took = 0
for text in MESSAGES:  # noqa: F821  see above
    message = memoryview(binascii.unhexlify(text))
    gc.collect()
    free = gc.mem_free()
    reply = requests.message(message, rt.service.clock())
    took = max(took, free - gc.mem_free())
    print("=", str(binascii.hexlify(reply), "ascii"))
events = 0
while True:
    event = requests.event(rt.service.clock())
    if not event:
        break
    events += 1
print("=", json.dumps({"held": held, "took": took, "events": events}))
