#!/usr/bin/env python3
# hostile_server.py: a Source that lies: each path is another way to do so.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: hostile_server.py PORT DIRECTORY    serves until it is killed, on 127.0.0.1
#
# /file/NAME is an honest answer with that file. Every other path is a function below, which gets the
# connection after the request was read; most of them lie about the file "newer".
import gzip
import os
import socket
import socketserver
import sys
import time

MIB = 1 << 20
DIRECTORY = sys.argv[2]


def content(name):
    with open(os.path.join(DIRECTORY, name), "rb") as file:
        return file.read()


def head(status="200 OK", **fields):
    lines = ["HTTP/1.1 " + status, "Content-Type: application/json+cesr", "Connection: close"]
    lines += [name.replace("_", "-") + ": " + str(value) for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def answer(out, body, **fields):
    out.sendall(head(Content_Length=len(body), **fields) + body)


def redirect(out, target):
    out.sendall(head("302 Found", Location=target, Content_Length=0))


def stall():
    time.sleep(100)


LIES = {}


def lie(function):
    LIES[function.__name__] = function
    return function


# ---- what the answer is ----

@lie
def garbage(out):
    answer(out, bytes(range(256)) * 4096)


@lie
def escapes(out):  # a terminal's, where the status and a message may be printed
    out.sendall(b"HTTP/1.1 500 \x1b[2J\x1b]0;x\x07\r\nContent-Length: 0\r\n\r\n")


@lie
def empty(out):
    answer(out, b"")


@lie
def nothing_at_all(out):
    pass


@lie
def tiny_messages(out):
    answer(out, b'{"v":"KERI10JSON000019_"}' * 100000)


@lie
def gzip_bomb(out):
    answer(out, gzip.compress(bytes(64 * MIB)), Content_Encoding="gzip")


@lie
def gzip_chunked_bomb(out):
    bomb = gzip.compress(bytes(64 * MIB))
    out.sendall(head(Transfer_Encoding="gzip, chunked"))
    out.sendall(b"%x\r\n" % len(bomb) + bomb + b"\r\n0\r\n\r\n")


# ---- how long it is ----

@lie
def shorter_than_said(out):  # and cut within the last message
    body = content("newer")
    out.sendall(head(Content_Length=len(body)) + body[:-20])


@lie
def longer_than_said(out):  # what is behind the length is no part of the answer
    body = content("newer")
    out.sendall(head(Content_Length=len(body) - 20) + body)


@lie
def length_is_no_number(out):
    out.sendall(head(Content_Length="-1") + content("newer"))


@lie
def two_lengths(out):
    body = content("newer")
    out.sendall(head(Content_Length="%d\r\nContent-Length: %d" % (len(body), len(body) - 20)) + body)


@lie
def length_of_an_exbibyte(out):
    out.sendall(head(Content_Length=1 << 60) + content("newer"))


@lie
def endless_body(out):
    out.sendall(head())
    while True:
        out.sendall(b"x" * MIB)


@lie
def endless_log(out):  # which begins well
    out.sendall(head() + content("newer"))
    while True:
        out.sendall(b"-AAA" * (MIB // 4))


@lie
def a_byte_too_many(out):
    answer(out, content("newer") + b"-AAA" * (32 * MIB // 4 - len(content("newer")) // 4) + b"xxxx")


@lie
def closed_early(out):  # no length was said: this looks like an end
    out.sendall(head() + content("newer")[:-20])


# ---- HTTP ----

@lie
def huge_headers(out):
    out.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * (64 * MIB) + b"\r\n\r\n")


@lie
def many_headers(out):
    out.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        out.sendall(b"X-A: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 1000)


@lie
def endless_continue(out):
    while True:
        out.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


@lie
def chunked_nonsense(out):
    out.sendall(head(Transfer_Encoding="chunked") + b"zzz\r\nnonsense\r\n-5\r\n")


@lie
def chunk_too_long(out):
    out.sendall(head(Transfer_Encoding="chunked") + b"ffffffffffffffffff\r\n" + content("newer"))


@lie
def chunks_without_end(out):  # and never any byte of the answer
    out.sendall(head(Transfer_Encoding="chunked"))
    while True:
        out.sendall(b"1;" + b"e" * 1000 + b"\r\nx\r\n")
        time.sleep(0.1)


@lie
def http_0_9(out):
    out.sendall(content("newer"))


@lie
def status_204(out):
    out.sendall(head("204 No Content"))


@lie
def status_304(out):
    out.sendall(head("304 Not Modified"))


@lie
def status_404(out):
    out.sendall(head("404 Not Found") + content("newer"))


@lie
def status_500(out):
    out.sendall(head("500 Oh", Content_Length=len(content("newer"))) + content("newer"))


@lie
def to_itself(out):
    redirect(out, "/to_itself")


@lie
def to_file(out):
    redirect(out, "file://" + os.path.join(DIRECTORY, "newer"))


@lie
def to_another_scheme(out):
    redirect(out, "gopher://127.0.0.1/")


@lie
def hops_4(out):
    redirect(out, "/hops_3")


@lie
def hops_3(out):
    redirect(out, "/hops_2")


@lie
def hops_2(out):
    redirect(out, "/hops_1")


@lie
def hops_1(out):
    redirect(out, "/file/newer")


# ---- how slow it is ----

@lie
def stalls_before(out):
    stall()


@lie
def stalls_in_header(out):
    out.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    stall()


@lie
def stalls_in_middle(out):
    body = content("newer")
    out.sendall(head(Content_Length=len(body)) + body[: len(body) // 2])
    stall()


@lie
def drips(out):
    body = content("newer")
    out.sendall(head(Content_Length=len(body)))
    for i in range(len(body)):
        out.sendall(body[i : i + 1])
        time.sleep(1)


@lie
def drips_headers(out):
    out.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        out.sendall(b"X: y\r\n")
        time.sleep(1)


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        request = b""
        while b"\r\n\r\n" not in request and len(request) < 65536:
            more = self.request.recv(4096)
            if not more:
                return
            request += more
        path = request.split(b" ")[1].decode()[1:]
        try:
            if path.startswith("file/"):
                answer(self.request, content(path[5:]))
            else:
                LIES[path](self.request)
        except OSError:  # it had enough
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def main():
    socket.setdefaulttimeout(120)
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
