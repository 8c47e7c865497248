#!/usr/bin/env python3
# streams.py: changes a stream as a Source may that leaves something out, or adds something.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: streams.py bodies|receipts <STREAM    prints it without its cards; with a receipt for each event
import json
import sys


def messages(stream):
    while stream:
        size = int(stream[16:22], 16)
        end = stream.find(b"{", size)
        end = len(stream) if end < 0 else end
        yield stream[:size], stream[size:end]
        stream = stream[end:]


def receipt(event):
    body = {"v": "KERI10JSON000091_", "t": "rct", "d": event["d"], "i": event["i"], "s": event["s"]}
    couple = "B" + "A" * 43 + "0B" + "A" * 86
    return json.dumps(body, separators=(",", ":")) + "-CAB" + couple


for body, attachments in messages(sys.stdin.buffer.read()):
    event = json.loads(body)
    if sys.argv[1] == "bodies" and event["v"].startswith("ACDC"):
        continue
    sys.stdout.buffer.write(body + attachments)
    if sys.argv[1] == "receipts" and event["v"].startswith("KERI"):
        sys.stdout.write(receipt(event))
        sys.stdout.flush()
