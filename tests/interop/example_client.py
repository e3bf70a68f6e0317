"""The example client talks with a server that answers as `conversation.py` does.

example_client.py CLIENT [OPTION]... URL

The client sends lines, prints the server's answers, and closes after the last line.
"""

import subprocess
import sys

from conversation import SECONDS, SIZES, text

LINES = ["hello", "héllo €", *("x" * size for size in SIZES), text(1), text(40), text(40), "", text(300), text(2)]


def escaped(line):
    """Escapes bytes like Rust's `escape_ascii`."""
    special = {"\\": "\\\\", '"': '\\"', "'": "\\'"}
    return "".join(special.get(chr(b), chr(b)) if 32 <= b < 127 else f"\\x{b:02x}" for b in line.encode())


def talk(command):
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    for line in LINES:
        program.stdin.write(line + "\n")
        program.stdin.flush()
        for expected in [line, line + "!", escaped(line)]:
            printed = program.stdout.readline()
            assert printed == expected + "\n", f"{printed[:80]!r} was printed, not {expected[:80]!r}"
    # Ctrl-D: the end of the input.
    program.stdin.close()
    assert program.stdout.read() == ""
    status = program.wait(SECONDS)
    assert status == 0, f"the client ended with status {status}"


talk(sys.argv[1:])
