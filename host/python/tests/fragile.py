#!/usr/bin/env python3
"""Stands before `clickmill exec` and kills it, as `FRAGILE` says. All that it passes on is the real one's, unless it
is told to lie.

FRAGILE=random           before the answer to every third batch or so
FRAGILE=poison           on each batch with a record in which `kill me` stands
FRAGILE=bug              likewise, and says before that it ends by a bug
FRAGILE=broken           at each start, before it says hello
FRAGILE=start:FILE       likewise, at every other start, which FILE counts
FRAGILE=deaf             once it has said hello, before it reads anything
FRAGILE=deaf:FILE        likewise, the first three, which FILE counts
FRAGILE=idle:FILE        as start, and while it has nothing to do, after its first answer
FRAGILE=lie:frame        does not kill it: among its answers is what is not a frame,
FRAGILE=lie:table           rows of a table that there is not,
FRAGILE=lie:rows            rows that are not Arrow's,
FRAGILE=lie:columns         letters in place of rows,
FRAGILE=lie:less            or fewer frames of rows than it counts
FRAGILE=worker:FILE      on the first batch of all, its parent process: FILE says that it is done
FRAGILE=java:FILE        likewise, the Java process above
"""

import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time

HEADER = struct.Struct("<IBBH")
BATCH = 2
ROWS = 16
LETTERS = 17
PLUGIN_SET = 18
COUNTS = 19
ERROR = 22
#: The letters that it announces, which are none.
LETTER = bytearray()


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


def lie(answers, how):
    """Passes answers on, and lies about the first batch's: what comes before is no answer."""
    said, has_lied = [], False
    while header := answers.read(HEADER.size):
        length, kind, flags, table = HEADER.unpack(header)
        frame = header + answers.read(length)
        said.append(kind)
        is_answer = kind == ROWS and LETTERS in said
        if is_answer and not has_lied:
            has_lied = True
            frame = {
                "frame": b"\xff" * 8 + frame,
                "table": HEADER.pack(length, kind, flags, 9) + frame[HEADER.size :],
                "rows": header + bytes(length),
                "columns": HEADER.pack(len(LETTER), kind, flags, table) + LETTER,
                "less": b"",
            }[how]
        elif kind == LETTERS and LETTERS not in said[:-1]:
            LETTER.extend(frame[HEADER.size :])
        sys.stdout.buffer.write(frame)
        sys.stdout.buffer.flush()


def until(last, answers, then):
    """Passes on what is said up to a frame of that kind."""
    kind = None
    while kind != last and (header := answers.read(HEADER.size)):
        length, kind, _, _ = HEADER.unpack(header)
        sys.stdout.buffer.write(header + answers.read(length))
        sys.stdout.buffer.flush()
    then()


def starts_so_far(mark):
    file = os.open(mark, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(file, b".")
    return os.lseek(file, 0, os.SEEK_CUR)


def main():
    kind, _, mark = os.environ["FRAGILE"].partition(":")
    if kind == "broken" or kind in ("start", "idle") and starts_so_far(mark) % 2:
        print("no more of it", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    is_deaf = kind == "deaf" and (not mark or starts_so_far(mark) <= 3)
    answers = subprocess.PIPE if kind in ("lie", "idle") or is_deaf else None
    real = subprocess.Popen([os.environ["CLICKMILL_REAL"], *sys.argv[1:]], stdin=subprocess.PIPE, stdout=answers)
    if kind == "lie":
        threading.Thread(target=lie, args=(real.stdout, mark), daemon=True).start()

    def die():
        real.kill()
        os.kill(os.getpid(), signal.SIGKILL)

    if kind == "idle":
        threading.Thread(target=until, args=(COUNTS, real.stdout, die), daemon=True).start()
    if is_deaf:
        until(PLUGIN_SET, real.stdout, lambda: time.sleep(0.2))
        # What was written until then is in the pipe.
        die()

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
        if frame == BATCH and kind in ("worker", "java"):
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                os.kill(above(kind), signal.SIGKILL)
            except FileExistsError:
                pass
    real.stdin.close()
    sys.exit(real.wait())


main()
