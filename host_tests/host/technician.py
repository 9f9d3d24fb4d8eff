"""Shared by the tests of the command line: a technician at a keyboard, and stand-ins with given answers.

``Keyboard`` runs `latchkey`, in this process (a start costs half a second) or in one of its own, keeps all that was
given in argv and all that came out, and finds planted secrets in it. ``Stub`` is an HTTP server with answers from a
table.
"""

import contextlib
import functools
import http.server
import io
import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections import namedtuple
from unittest import mock

import pexpect
import typer

from latchkey_tools.cli import main
from latchkey_tools.device import wallet
from latchkey_tools.sim import signing

LATCHKEY = [sys.executable, "-m", "latchkey_tools.cli.main"]
SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
OTHER_SYSTEM = "11111111-2222-4333-8444-555555555555"
MAINTAINER = {"uuid": "2faa6870-91b0-4b3a-84e8-8bbbd8becbd0", "name": "System Maintainer"}

Done = namedtuple("Done", "status out err")


class Keyboard:
    """``folder``: everything this technician keeps. ``secrets``: texts that must show up nowhere."""

    def __init__(self, folder, **environment):
        self.folder = folder
        self.wallet = folder / "wallet"
        self.env = dict(os.environ, LATCHKEY_WALLET=str(self.wallet), HOME=str(folder), **environment)
        self.env.update(PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring", TERM="xterm-256color")
        for name in ("TOKEN", "CLOUD_KEY", "HOST", "SOURCE", "WIFI_PASSPHRASE"):
            if f"LATCHKEY_{name}" not in environment:
                self.env.pop(f"LATCHKEY_{name}", None)
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            if name not in environment:
                self.env.pop(name, None)
        self.secrets = []
        self.seen = []

    def run(self, *words, given=None, apart=False, **environment):
        """Run `latchkey` to its end; Done. ``given``: standard input. ``apart``: in a process of its own."""
        words = [str(word) for word in words]
        env = self.env | environment
        done = _in_a_process(words, given, env) if apart else _here(words, given, env)
        assert "Traceback" not in done.err, done.err
        self.seen += [*words, done.out, done.err]
        return done

    def ok(self, *words, **more):
        """Output of a run that has to work."""
        done = self.run(*words, **more)
        assert done.status == 0, done
        return done.out

    def data(self, *words, **more):
        """The output of `--json`, in a run that has to work."""
        return json.loads(self.ok(*words, "--json", **more))

    @contextlib.contextmanager
    def terminal(self, *words, size=(40, 80)):
        """`latchkey` at a terminal: a pexpect process; all that the screen showed counts as seen, echoes too."""
        screen = pexpect.spawn(LATCHKEY[0], [*LATCHKEY[1:], *map(str, words)], 20, env=self.env, dimensions=size)
        screen.logfile_read = io.BytesIO()
        try:
            yield screen
            screen.expect(pexpect.EOF)
        finally:
            screen.close()
            self.seen.append(screen.logfile_read.getvalue().decode())

    @staticmethod
    def interrupt(screen):
        """Ctrl-C at a question, until the command ends. CPython does not see one that comes in the moment before the
        question begins to wait for a key, until the next key."""
        for _ in range(8):
            screen.sendintr()
            if screen.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=5) == 0:
                return

    def spilt(self):
        """Planted secrets (their beginnings) that were seen where nobody should."""
        return [s[:12] for s in self.secrets if any(s in text for text in self.seen)]

    def open_files(self):
        """Files and folders of the wallet that others could read."""
        paths = [self.wallet, *self.wallet.rglob("*")]
        return [str(p) for p in paths if stat.S_IMODE(p.stat().st_mode) & 0o077]


def _in_a_process(words, given, env):
    done = subprocess.run([*LATCHKEY, *words], env=env, input=given, capture_output=True, text=True, timeout=60)
    return Done(done.returncode, done.stdout, done.stderr)


def _here(words, given, env):
    """As `latchkey` itself: its entry point, with what it would find around it."""
    out, err = io.StringIO(), io.StringIO()
    before = dict(os.environ), sys.argv, sys.stdin
    status = 0
    try:
        os.environ.clear()
        os.environ.update(env)
        sys.argv, sys.stdin = ["latchkey", *words], _as_input(given or "")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.object(main, "app", _app()):
            main.main()
    except SystemExit as end:
        status = end.code or 0
    finally:
        os.environ.clear()
        os.environ.update(before[0])
        sys.argv, sys.stdin = before[1:]
    return Done(status, out.getvalue(), err.getvalue())


@functools.cache
def _app():
    """The commands, made once: they take 60 ms."""
    return typer.main.get_command(main.app)


def _as_input(given):
    """Standard input that holds a text, or bytes as they are."""
    return io.TextIOWrapper(io.BytesIO(given if isinstance(given, bytes) else given.encode()), encoding="utf-8")


class Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client may leave early: some tests answer without end."""


class Stub:
    """``answers``: {(method, path): (status, body, headers)}, or a list of such that are given in turn.

    A body is JSON, or bytes as they are. ``requests``: (method, path, headers, body) of all that came. ``at``: where to
    listen.
    """

    def __init__(self, answers, at=("127.0.0.1", 0)):
        self.answers = answers
        self.requests = []
        self.peers = []
        self._server = Quiet(at, self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.port = self._server.server_address[1]
        self.url = f"http://{at[0]}:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """As if the device had left this network."""
        self._server.shutdown()
        self._server.server_close()

    def serve_tls(self, context):
        """HTTPS from now on; ``context``: an ssl.SSLContext."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def tokens(self):
        """The tokens that were shown to it."""
        return [
            headers["authorization"].removeprefix("Bearer ")
            for *_, headers, _ in self.requests
            if headers.get("authorization")
        ]

    def _answer(self, method, path, headers, body):
        self.requests.append((method, path, {k.lower(): v for k, v in headers.items()}, body))
        answer = self.answers.get((method, path), (404, {"code": "not_found"}, {}))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return answer(self.requests[-1]) if callable(answer) else answer

    def _handler(stub):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def _serve(self):
                stub.peers.append(self.client_address[0])
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer, headers = stub._answer(self.command, self.path, dict(self.headers), body)
                raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(raw)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

            def log_message(self, *_):
                """Nothing to standard error."""

        return Handler


INFO = {"product": "bulb", "model": "cct", "version": "0.1.0", "system_uuid": SYSTEM, "name": "Cellar light"}
INFO |= {"state": "ready", "dev": True}
DIAGNOSTICS = {
    "uptime_s": 100,
    "cloud": {"state": "online", "reason": "", "since": 1700000000},
    "keys": {"keys": [{"kid": "SIM-a", "bits": 2048, "alg": None}], "source": "flash", "sets_refused": 0},
    "ledger": {"unknown": "", "heard_unix_s": 1700000000},
    "clock": {"trusted": True, "floor_unix_s": 1700000000},
    "refusals": {},
}


def refusal(status, code, **headers):
    return status, {"code": code}, {k.replace("_", "-"): v for k, v in headers.items()}


def device(permissions=("read", "control", "configure"), **changes):
    """Answers of a device that accepts everybody; ``changes``: by the last word of the path."""
    grant = {"jti": SYSTEM, "sub": "x", "name": "Marie", "typename": "USER", "roles": [], "exp_unix_s": None}
    facts = {"info": INFO, "whoami": grant | {"permissions": list(permissions)}, "diagnostics": DIAGNOSTICS}
    facts |= {"state": {"on": True, "brightness_pct": 40}, "log": {"lines": []}}
    answers = {("GET", f"/v1/{name}"): (200, body, {}) for name, body in facts.items()}
    answers[("PATCH", "/v1/state")] = answers[("GET", "/v1/state")]
    for name, answer in changes.items():
        answers[("GET", f"/v1/{name}")] = answer
    return answers


_KEY = []


def signing_key():
    """(kid, key) for tokens of this run; made once."""
    if not _KEY:
        _KEY.extend(signing.new_key())
    return _KEY


def make_token(system=SYSTEM, lasts_s=86400, made_s_ago=5, key=None, **changes):
    """A token's text, signed by ``key``, by default that of ``signing_key``."""
    now = int(time.time()) - made_s_ago
    claims = {"jti": signing.new_uuid(), "sub": signing.new_uuid(), "iss": "https://company-example.api.drivr.cloud"}
    claims |= {"aud": system, "exp": lasts_s and now + lasts_s, "nbf": now - 60, "iat": now, "name": "Marie Curie"}
    claims |= {"typename": "USER", "roles": [MAINTAINER]}
    return signing.token(claims | changes, key or signing_key()[1])


def key_set():
    """The JWKS (dict) of ``signing_key``."""
    return {"keys": [signing.jwk(*signing_key())]}


def keep(keyboard, name="mine", **how):
    """A token (as ``make_token`` takes it) in the wallet, that must show up nowhere; its text."""
    token = make_token(**how)
    keyboard.secrets.append(token.split(".")[2])
    keyboard.ok("token", "import", "-", "--name", name, given=token)
    return token


_ASKED = re.compile(r'systemUuid: "([0-9a-f-]+)", requestedDevice: ".*", duration: (\d+)\)')


def asked(request):
    """(System, seconds) of a request for a token that came to a ``cloud``."""
    system, duration = _ASKED.search(json.loads(request[3])["query"]).groups()
    return system, int(duration)


def token_asked(request, **changes):
    """The answer of a cloud: a token for the requested System and time."""
    token = make_token(*asked(request), 0, **changes)
    return 200, {"data": {"createLocalApiToken": {"jwt": token, "uuid": wallet.claims_of(token)["jti"]}}}, {}


def cloud(answer=token_asked):
    return Stub({("POST", "/graphql"): answer})
