#!/usr/bin/env python3
"""Stands before `clickmill exec` and kills it, as `FRAGILE` says. All that it passes on is the real one's.

FRAGILE=random           before the answer to every third batch or so
FRAGILE=poison           on each batch with a record in which `kill me` stands
FRAGILE=bug              likewise, and says before that it ends by a bug
FRAGILE=worker:FILE      on the first batch of all, its parent process: FILE says that it is done
FRAGILE=java:FILE        likewise, the Java process above
"""

import os
import random
import signal
import struct
import subprocess
import sys
import time

HEADER = struct.Struct("<IBBH")
BATCH = 2
ERROR = 22


def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


def name(pid):
    with open(f"/proc/{pid}/comm") as comm:
        return comm.read().strip()


def above(kind):
    pid = os.getppid()
    while kind == "java" and name(pid) != "java":
        pid = parent(pid)
    return pid


def main():
    real = subprocess.Popen([os.environ["CLICKMILL_REAL"], *sys.argv[1:]], stdin=subprocess.PIPE)
    kind, _, mark = os.environ["FRAGILE"].partition(":")

    def die():
        real.kill()
        os.kill(os.getpid(), signal.SIGKILL)

    while header := sys.stdin.buffer.read(HEADER.size):
        length, frame, _, _ = HEADER.unpack(header)
        body = sys.stdin.buffer.read(length)
        if frame == BATCH and kind == "poison" and b"kill me" in body:
            die()
        if frame == BATCH and kind == "bug" and b"kill me" in body:
            real.kill()
            real.wait()
            told = b'{"error": "worker 1 panicked: kill me", "causes": [], "hint": null, "exit": 1}'
            sys.stdout.buffer.write(HEADER.pack(len(told), ERROR, 0, 0) + told)
            sys.stdout.buffer.flush()
            sys.exit(1)
        real.stdin.write(header + body)
        real.stdin.flush()
        if frame == BATCH and kind == "random" and random.random() < 0.3:
            time.sleep(random.uniform(0, 0.02))
            die()
        if frame == BATCH and mark:
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                os.kill(above(kind), signal.SIGKILL)
            except FileExistsError:
                pass
    real.stdin.close()
    sys.exit(real.wait())


main()
