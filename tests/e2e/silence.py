#!/usr/bin/env python3
# silence.py: how long no answer comes through a tunnel: a number every 20 ms, and who sends it back.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: silence.py answer PORT                 sends back what comes (UDP), until it is ended
#        silence.py ask ADDRESS PORT SECONDS    prints how many were sent and came back, and the longest
#                                               time between two answers, in ms
import socket
import sys
import time

EVERY = 0.02


def answer(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("::", port))
    while True:
        data, sender = s.recvfrom(64)
        try:
            s.sendto(data, sender)
        except OSError:
            pass  # the tunnel is away for a moment


def ask(address, port, seconds):
    family, _, _, _, to = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.connect(to)
    begin = last = time.monotonic()
    sent, back, longest = 0, set(), 0.0
    while True:
        now = time.monotonic()
        if now >= begin + seconds:
            break
        if now >= begin + sent * EVERY:
            try:
                s.send(str(sent).encode())
            except OSError:
                pass
            sent += 1
            continue
        s.settimeout(begin + sent * EVERY - now)
        try:
            back.add(s.recv(64))
        except OSError:
            continue
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    longest = max(longest, time.monotonic() - last)
    print(f"{sent} sent, {len(back)} came back, longest silence {longest * 1000:.0f} ms")


if sys.argv[1] == "answer":
    answer(int(sys.argv[2]))
ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
