#!/usr/bin/env python3
"""A network that delays and loses packets, between network namespaces: lossy_net.py SETTINGS NAMESPACE…

Gives namespace number i (from 1) the address 10.77.0.i, reads the packets that its programs send, and delivers each
after a delay, unless it is lost. SETTINGS is a file with three numbers: delay in milliseconds, jitter in milliseconds,
loss in percent; it is read again twice a second. Prints "ready" once the network works, and runs until it is ended.
Needs the right to make network devices. Packets of one pair may overtake each other, as on a real network.
"""
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    with open(path) as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), path)


def open_device(name, number):
    enter(f"/var/run/netns/{name}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"u0", IFF_TUN | IFF_NO_PI))
    for command in (["ip", "addr", "add", f"10.77.0.{number}/24", "dev", "u0"],
                    ["ip", "link", "set", "u0", "mtu", "1400", "txqueuelen", "5000", "up"],
                    ["ip", "link", "set", "lo", "up"]):
        subprocess.run(command, check=True)
    return device


def read_settings(path, old):
    try:
        with open(path) as file:
            delay, jitter, loss = map(float, file.read().split())
        return delay / 1000, jitter / 1000, loss / 100
    except (OSError, ValueError):
        return old  # being written


def main():
    settings_path, names = sys.argv[1], sys.argv[2:]
    own = "/proc/self/ns/net"
    home = os.open(own, os.O_RDONLY)
    devices = [open_device(name, i + 1) for i, name in enumerate(names)]
    if libc.setns(home, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), own)
    settings = read_settings(settings_path, (0.0, 0.0, 0.0))
    print("ready", flush=True)
    on_the_way = []  # (when, order, device, packet)
    order = 0
    look = time.monotonic()
    while True:
        now = time.monotonic()
        if now >= look:
            settings = read_settings(settings_path, settings)
            look = now + 0.5
        delay, jitter, loss = settings
        wait = min([look - now] + ([on_the_way[0][0] - now] if on_the_way else []))
        readable, _, _ = select.select(devices, [], [], max(0.0, wait))
        now = time.monotonic()
        for device in readable:
            for _ in range(64):
                try:
                    packet = os.read(device, 65536)
                except BlockingIOError:
                    break
                # IPv4 to one of us; what else programs send (IPv6 discovery) goes nowhere.
                if len(packet) < 20 or packet[0] >> 4 != 4 or packet[16:19] != b"\x0a\x4d\x00":
                    continue
                to = packet[19] - 1
                if to >= len(devices) or random.random() < loss:
                    continue
                order += 1
                heapq.heappush(on_the_way, (now + delay + random.uniform(0, jitter), order, devices[to], packet))
        now = time.monotonic()
        while on_the_way and on_the_way[0][0] <= now:
            _, _, device, packet = heapq.heappop(on_the_way)
            try:
                os.write(device, packet)
            except OSError:
                pass  # its namespace is gone, or its queue is full: lost


if __name__ == "__main__":
    main()
