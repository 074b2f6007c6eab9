#!/usr/bin/env python3
"""A TCP relay that passes so many bytes a second in each direction, for tests of slow links.

usage: slow_link.py TARGET_PORT RATE_FILE PORT_FILE
Listens on a free port of 127.0.0.1, which it writes to PORT_FILE, and relays to TARGET_PORT there. RATE_FILE holds the
bytes per second, 0 for no bound, and is read again all the time. Ends with the process that started it."""
import os
import socket
import sys
import threading
import time

target, rate_file, port_file = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def rate():
    with open(rate_file) as file:
        return int(file.read().strip() or 0)


def pump(source, sink):
    try:
        while True:
            bound = rate()
            data = source.recv(1 << 18 if bound == 0 else 4096)
            if not data:
                break
            if bound:
                time.sleep(len(data) / bound)
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def accept(listener):
    while True:
        near, _ = listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", target), 5)
        except OSError:
            near.close()
            continue
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(None)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=pump, args=(source, sink), daemon=True).start()


parent = os.getppid()
listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, args=(listener,), daemon=True).start()
with open(port_file + ".part", "w") as file:
    file.write(str(listener.getsockname()[1]))
os.rename(port_file + ".part", port_file)
while os.getppid() == parent:
    time.sleep(0.2)
