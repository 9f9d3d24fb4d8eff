"""Brings a signed release onto a device, and waits until it is good there or the one before is back. No terminal here.

    result = Update(host, file, tell).run()

An upload that breaks off goes on at what the device has. A device that was switched off before its new release was good
gets it once more.
"""

import queue
import threading
import time
from collections import namedtuple

from latchkey_tools import problems
from latchkey_tools.cli import show
from latchkey_tools.cli.advice import update_advice
from latchkey_tools.device import access
from latchkey_tools.device.local_api import Device, Refusal, Unreachable
from latchkey_tools.release import manifest

GOOD, HAD, BACK, FAILED, LEFT = "good", "has it", "went back", "failed", "not begun"
WELL = (GOOD, HAD)
PATH = "/v1/firmware"
_PIECE_BYTES = 4096
# A device reads back all that it wrote before it answers.
_ANSWER_WITHIN_S = 300
# Between two looks at a device.
POLL_S = 2
# A release that is not good within 15 minutes goes back; both starts take a while.
SETTLES_WITHIN_S = 1200
# A device that has lost its upload's connection notices that within a minute.
_BACK_WITHIN_S = 120
_TRIES = 3
# Codes of an upload that may go on: None of a broken connection, "verify_busy" after a change of the cloud's keys.
_BREAKS = (None, "no_memory", "timeout", "verify_busy")

# state: of GOOD, HAD, BACK, FAILED, LEFT; words: what happened; todo: what the person can do, or ""; reason: of BACK
Result = namedtuple("Result", "host state words todo reason", defaults=("", "", None))


class Stopped(Exception):
    """The user broke off."""


class Update:
    """``file``: a manifest.File for PUT /v1/firmware. ``tell(words, done_bytes)`` shows progress. ``stop``: an event
    that ends it. ``again``: also for a device that runs this release already. Others: as of Device and access."""

    def __init__(self, host, file, tell, stop=None, ca=None, token_file=None, token=None, again=False):
        self.host = host
        self._file = file
        self._tell = tell
        self._stop = stop or threading.Event()
        self._ca = ca
        self._chosen = token_file, token
        self._again = again
        self._device = self._pass = None

    def run(self):
        """The Result; Stopped."""
        try:
            with Device(self.host, self._ca) as self._device:
                return self._run()
        except (Refusal, Unreachable, ValueError, OSError) as problem:
            return self._failed(problem)

    def _run(self):
        before = self._enter()
        if self._file.typ == manifest.RELEASE_KEY:
            answer = self._put(0)
            return Result(self.host, GOOD, f"it has the new release key, counter {answer.get('key_counter')}")
        if before.get("state") == "unproven" or _is_about_to_restart(before):
            self._tell("waiting for what it was sent before", None)
            result = self._settled(before if before.get("state") == "good" else {})
            if result.state != GOOD:
                return result
            before = self._look()
        if self._has(before) and not self._again:
            return Result(self.host, HAD, f"it runs {before.get('version')} already")
        result = self._send_and_wait(before)
        if result.reason in ("reset", "not_started"):
            self._tell("it was switched off before it was good; sending again", 0)
            result = self._send_and_wait(self._look())
        return result

    def _enter(self):
        """The device's Firmware (dict), by the first token that may configure."""
        self._device.choose_channel()
        found, self._pass = access.through(self._device.info(), self._first_look, *self._chosen)
        return found

    def _first_look(self, here):
        grant = self._device.call("GET", "/v1/whoami", here.token)
        if "configure" not in (grant.get("permissions") or []):
            raise Refusal(403, "insufficient_scope")
        return self._device.call("GET", PATH, here.token)

    def _look(self):
        return self._device.call("GET", PATH, self._pass.token, patient=False)

    def _has(self, firmware):
        """Whether this release is the newest that was good there, and it runs."""
        members = self._file.members
        same = firmware.get("counter") == members["counter"] and firmware.get("version") == members["version"]
        return same and firmware.get("state") == "good"

    def _send_and_wait(self, before):
        self._upload(before)
        self._tell("restarting", self._file.members["size"])
        return self._settled(before)

    def _upload(self, before):
        """Returns once the device has the whole release and restarts."""
        if (before.get("upload") or {}).get("running"):
            before = self._after_break(Refusal(409, "update_running"), "another upload runs there; waiting")
        at, tries = self._received(before), 0
        while True:
            try:
                self._put(at)
                return
            except (Unreachable, Refusal) as problem:
                code = getattr(problem, "code", None)
                # Another manifest of the same payload, or the device has restarted.
                if code == "wrong_offset" and at:
                    at = 0
                    continue
                if code not in _BREAKS:
                    raise
                now = self._after_break(problem)
                if self._has_switched(before, now):
                    return
                received = self._received(now)
                tries = 0 if received > at else tries + 1
                if tries >= _TRIES:
                    raise
                at = received

    def _put(self, at):
        """The answer to the file, from byte ``at`` of its payload on."""
        head, data = self._file.line + b"\n", self._file.payload[at:]
        path = f"{PATH}?from={at}" if at else PATH
        content = self._pieces(head, data, at)
        return self._device.send(path, self._pass.token, content, len(head) + len(data), _ANSWER_WITHIN_S)

    def _pieces(self, head, data, at):
        words = f"sending {self._file.members['version']}" if data else "sending"
        for start in range(0, max(len(data), 1), _PIECE_BYTES):
            self._check_stop()
            self._tell(words, at + start)
            yield (b"" if start else head) + data[start : start + _PIECE_BYTES]
        self._tell("the device checks it", at + len(data))

    def _after_break(self, problem, words="the connection broke off; trying again"):
        """Its Firmware once it answers and no connection brings it an upload; else ``problem`` is raised."""
        deadline = time.monotonic() + _BACK_WITHIN_S
        while time.monotonic() < deadline:
            self._pause()
            self._tell(words, None)
            try:
                now = self._look()
            except Unreachable as again:
                problem = again
                continue
            if not (now.get("upload") or {}).get("running") or _is_about_to_restart(now):
                return now
        raise problem

    def _has_switched(self, before, now):
        """Whether the whole release arrived although its answer did not."""
        changed = any(now.get(name) != before.get(name) for name in ("running", "last"))
        return changed or now.get("state") == "unproven" or _is_about_to_restart(now)

    def _received(self, firmware):
        """How much of this payload the device has from an upload that broke off."""
        upload, members = firmware.get("upload") or {}, self._file.members
        same = all(upload.get(name) == members[name] for name in ("sha256", "version", "size"))
        return upload.get("received") or 0 if same and not upload.get("running") else 0

    def _settled(self, before):
        """The Result once the new release is good or the one before is back."""
        deadline, seen = time.monotonic() + SETTLES_WITHIN_S, "it did not answer"
        while time.monotonic() < deadline:
            self._pause()
            try:
                now = self._look()
            except Unreachable:
                continue
            except Refusal as refusal:
                seen = f"it answered {refusal.code}: {refusal.words}"
                self._tell(f"restarted; it answers {refusal.code}", None)
                continue
            if result := self._verdict(before, now):
                return result
        todo = "look at it with `latchkey doctor`; it goes back by itself after 15 minutes"
        return Result(self.host, FAILED, f"for {show.span(SETTLES_WITHIN_S)} after the upload {seen}", todo)

    def _verdict(self, before, now):
        """The Result, or None while the release is neither good nor back."""
        version = self._file.members["version"]
        if now.get("state") == "unproven":
            self._tell(f"{version} runs, not proven yet", None)
        elif last := now.get("last"):
            happened, todo = update_advice(last.get("reason"))
            words = f"{last.get('version')} went back to {now.get('version')}: {happened}"
            return Result(self.host, BACK, words, todo, last.get("reason"))
        elif now.get("running") != before.get("running"):
            return Result(self.host, GOOD, f"it runs {now.get('version')}")
        elif not _is_about_to_restart(now):
            return Result(self.host, FAILED, "it has dropped what was sent", "run the same command again")
        return None

    def _failed(self, problem):
        """The Result of what was raised."""
        if isinstance(problem, Refusal):
            return Result(self.host, FAILED, f"{problem.code}: {problem.words}", problem.todo)
        words, _, todo = problems.words(problem).rpartition("; ")
        return Result(self.host, FAILED, words, todo) if words else Result(self.host, FAILED, todo)

    def _pause(self):
        self._stop.wait(POLL_S)
        self._check_stop()

    def _check_stop(self):
        if self._stop.is_set():
            raise Stopped


def of_all(hosts, one, at_once, keep_going=False):
    """Yields the Result of each host as it ends: what ``one(host)`` gives, ``at_once`` at a time in threads of their
    own. Once a release went back, no other is begun unless ``keep_going``."""
    left, running, ended, halted = list(hosts), 0, queue.SimpleQueue(), False
    while running or left and not halted:
        while left and running < at_once and not halted:
            threading.Thread(target=_one, args=(one, left.pop(0), ended), daemon=True).start()
            running += 1
        result = ended.get()
        if isinstance(result, Exception):
            raise result
        running -= 1
        halted = halted or result.state == BACK and not keep_going
        yield result
    for host in left:
        todo = "see what went back first; --keep-going sends it all the same"
        yield Result(host, LEFT, "the release went back on another device", todo)


def _one(one, host, ended):
    try:
        ended.put(one(host))
    except Exception as error:
        ended.put(error)


def _is_about_to_restart(firmware):
    """Whether a whole upload is being checked, or its restart is due."""
    upload = firmware.get("upload") or {}
    return bool(upload.get("running")) and upload.get("received") == upload.get("size")
