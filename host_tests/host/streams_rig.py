"""Runs many commands, each with its standard streams in another state, in forks: a start costs half a second.

Modules that commands import late are imported before the first fork, by two commands that fail or list nothing.

    python streams_rig.py CASES.json FOLDER

CASES: a list of {"words", "streams": {number: "closed" | "full" | "broken"}, "env"}; a list of {"status", "out", "err"}
is printed. Each is a fork that finds its streams as the interpreter's start would have left them.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import typer

from latchkey_tools.cli import main


def run(case, folder):
    paths = [os.devnull, folder / "out", folder / "err"]
    pid = os.fork()
    if not pid:
        try:
            status = child(case, paths)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            status = 70
        os._exit(flushed(status))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"status": status, "out": paths[1].read_text(), "err": paths[2].read_text()}


def import_all():
    for words in (["token", "list"], ["device", "state", "127.0.0.1:1"]):
        sys.argv = ["latchkey", *words]
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            with contextlib.redirect_stderr(io.StringIO()):
                main.main()


def child(case, paths):
    states = {int(number): state for number, state in case["streams"].items()}
    for number, path in enumerate(paths):
        set_up(number, path, states.get(number))
    for number in states:
        if states[number] == "closed":
            os.close(number)
    os.environ.update(case["env"])
    sys.argv = ["latchkey", *case["words"]]
    sys.stdin, sys.stdout, sys.stderr = map(stream, range(3), ("r", "w", "w"))
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    try:
        main.main()
    except SystemExit as end:
        return end.code or 0
    return 0


def set_up(number, path, state):
    opened = os.open("/dev/full" if state == "full" else path, os.O_RDWR | os.O_CREAT | os.O_TRUNC * (state != "full"))
    if state == "broken":
        reading, opened = os.pipe()
        os.close(reading)
    os.dup2(opened, number)
    if opened > 2:
        os.close(opened)


def stream(number, mode):
    """As the interpreter makes it: None for what is closed."""
    try:
        os.fstat(number)
    except OSError:
        return None
    errors = "backslashreplace" if number == 2 else "strict"
    return open(number, mode, encoding=os.environ.get("PYTHONIOENCODING", "utf-8"), errors=errors, closefd=False)


def flushed(status):
    """As the interpreter's end: 120 where what is left cannot be written."""
    for one in (sys.stdout, sys.stderr):
        try:
            if one:
                one.flush()
        except (OSError, ValueError):
            status = 120
    return status


if __name__ == "__main__":
    out = os.fdopen(os.dup(1), "w")
    cases, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    main.app = typer.main.get_command(main.app)  # once, instead of at every call
    import_all()
    out.write(json.dumps([run(case, folder) for case in cases]))
    out.close()
