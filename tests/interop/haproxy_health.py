"""Waits until HAProxy has checked its server: haproxy_health.py STATS_SOCKET

Fails if the server is not healthy.
"""

import csv
import socket
import sys
import time


def state(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(60)
        stream.connect(path)
        stream.sendall(b"show stat\n")
        lines = b"".join(iter(lambda: stream.recv(1 << 16), b"")).decode().lstrip("# ").splitlines()
    [server] = [row for row in csv.DictReader(lines) if row["svname"] == "checked"]
    return server["status"], server["check_status"], server["check_code"]


def main(path):
    # Before the first check, its state is INI.
    while (found := state(path))[1] in ("", "INI") or found[1].startswith("*"):
        time.sleep(0.02)
    print(*found)
    sys.exit(found[:2] != ("UP", "L7OK"))


main(*sys.argv[1:])
