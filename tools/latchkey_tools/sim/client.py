"""Talking to a simulator: ``Client`` for one that runs, ``Simulator`` for one of our own in its own process."""

import json
import ssl
import sys
import time
from collections import namedtuple
from pathlib import Path

import httpx

from latchkey_tools import folders
from latchkey_tools.desk import children
from latchkey_tools.sim import server, signing
from latchkey_tools.sim.cloud import Cloud

Token = namedtuple("Token", "jwt uuid")
READY_WITHIN_S = 30
# For plain HTTP. With this machine's CAs, as httpx makes one for every request, it would take 25 ms.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

# Word for word as DRIVR's guide shows them, with variables in place of its samples.
CREATE = """mutation LApiToken($systemUuid: UUID!, $requestedDevice: String!, $duration: Timespan!) {
  createLocalApiToken(systemUuid: $systemUuid, requestedDevice: $requestedDevice, duration: $duration) { jwt uuid }
}"""
CREATE_PERMANENT = """mutation createPermanentLocalApiTokenPermanent($systemUuid: UUID!, $name: String!) {
  createPermanentLocalApiToken(systemUuid: $systemUuid, name: $name) { jwt uuid }
}"""
EXTEND = """mutation($uuid: Beginning!, $duration: Timespan!) {
  extendLocalApiToken(uuid: $uuid, duration: $duration) { jwt uuid }
}"""
REVOKE = """mutation($uuid: Beginning!, $how: Revocation!, $status: String!) {
  revokeLocalApiToken(uuid: $uuid, how: $how, status: $status) { uuid }
}"""
SET_TOKEN_ROLES = "mutation($u: UUID!, $r: [RoleInput!]!) { setTokenRoles(uuid: $u, roles: $r) { uuid } }"
OLD_LIST = """mutation($s: UUID!, $b: Int!, $r: Boolean!) {
  publishOldList(systemUuid: $s, stepsBack: $b, retained: $r)
}"""
LIST = """query($systemUuid: UUID!) { localApiTokens(systemUuid: $systemUuid) {
  uuid createdAt updatedAt status expiresAt notBefore systemUuid roles { uuid name } token subject { uuid name type }
} }"""


class SimulatorError(Exception):
    """The simulator could not be reached, or refused; the text says what to do."""


class Client:
    """The API of a running simulator, found by the folder it keeps its state in."""

    def __init__(self, folder):
        self.folder = Path(folder)

    @property
    def url(self):
        try:
            return json.loads((self.folder / server.ADDRESS_NAME).read_text())["url"]
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise SimulatorError(f"no simulator runs over {self.folder}; start one with `latchkey sim run`") from error

    @property
    def bearer(self):
        return (self.folder / server.BEARER_NAME).read_text()

    def graphql(self, query, **variables):
        """POST a query; returns its ``data``, raises SimulatorError with the API's words."""
        try:
            answer = httpx.post(
                self.url,
                json={"query": query, "variables": variables},
                headers={"Authorization": f"Bearer {self.bearer}"},
                timeout=20,
                trust_env=False,
                verify=NO_TLS,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SimulatorError(f"the simulator does not answer ({type(error).__name__}); is it running?") from error
        body = _json(answer)
        if answer.status_code != 200 or body.get("errors"):
            raise SimulatorError("; ".join(e["message"] for e in body.get("errors", [])) or body.get("error", ""))
        return body["data"]

    def create_token(self, system_uuid, duration="1D", device="smart-bulb"):
        """A Token that ends after ``duration``, by DRIVR's own mutation."""
        data = self.graphql(CREATE, systemUuid=system_uuid, requestedDevice=device, duration=duration)
        return Token(**data["createLocalApiToken"])

    def create_permanent_token(self, system_uuid, name="permanent-token-smart-light"):
        data = self.graphql(CREATE_PERMANENT, systemUuid=system_uuid, name=name)
        return Token(**data["createPermanentLocalApiToken"])

    def revoke(self, uuid, leave=False, status="DEACTIVATED"):
        """Revoke by ``status``, or by leaving the list; returns the whole uuid of what may be its beginning."""
        answer = self.graphql(REVOKE, uuid=uuid, how="LEAVE" if leave else "STATUS", status=status)
        return answer["revokeLocalApiToken"]["uuid"]

    def extend(self, uuid, duration):
        return Token(**self.graphql(EXTEND, uuid=uuid, duration=duration)["extendLocalApiToken"])

    def rotate(self, keep_old=False):
        """A new signing key; returns its kid."""
        return self.graphql("mutation($k: Boolean!) { rotateKeys(keepOld: $k) }", k=keep_old)["rotateKeys"]

    def tokens(self, system_uuid):
        return self.graphql(LIST, systemUuid=system_uuid)["localApiTokens"]

    def set_token_roles(self, uuid, roles):
        """``roles``: [{"uuid", "name"}, ...] for the token's record; its jwt keeps its own."""
        self.graphql(SET_TOKEN_ROLES, u=uuid, r=roles)

    def set_subject_roles(self, roles):
        """The roles that tokens made from now on carry."""
        self.graphql("mutation($r: [RoleInput!]!) { setSubjectRoles(roles: $r) { uuid } }", r=roles)

    def configure(self, **settings):
        """Change settings of the simulation: see SimulationInput in drivr.graphql."""
        self.graphql("mutation($s: SimulationInput!) { setSimulation(settings: $s) { algorithm } }", s=settings)

    def republish(self):
        self.graphql("mutation { republish }")

    def publish_old_list(self, system_uuid, steps_back=1, retained=True):
        self.graphql(OLD_LIST, s=system_uuid, b=steps_back, r=retained)

    def status(self):
        """``{"connected", "pending", "error", "keys"}``."""
        return self.graphql("{ status { connected pending error keys } }")["status"]

    def wait_published(self, within_s=15):
        """Wait until the broker has taken every message; raises SimulatorError with the reason why not."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            status = self.status()
            if status["connected"] and not status["pending"]:
                return
            time.sleep(0.05)
        raise SimulatorError(f"the broker has not taken the messages: {status['error'] or 'it is slow'}")


def _json(answer):
    try:
        return answer.json()
    except (ValueError, RecursionError) as error:
        raise SimulatorError(
            "the program that answers is not a simulator; start one with `latchkey sim run`"
        ) from error


class Simulator(Client):
    """A simulator in a process of its own, over ``broker`` (a Broker), ended with ``stop`` or with its owner.

    The port of the API stays the same over stop and start. ``systems``: UUIDs whose lists are published from the
    start. ``folder`` keeps the state: keys, tokens, bearer.
    """

    def __init__(self, folder, slug, broker, systems=(), issuer=None, algorithm=None, port=0):
        super().__init__(folder)
        self.slug = slug
        self.broker = broker
        self.systems = list(systems)
        self.issuer = issuer or f"https://{slug}.api.drivr.cloud"
        self.algorithm = algorithm
        self.port = port
        self.log_path = self.folder / "simulator.log"
        self._process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    def start(self):
        """Start and wait until the API answers; it may answer long before the broker is reached."""
        folders.make(self.folder)
        with open(self.log_path, "ab") as log:
            self._process = children.spawn(self._command(), stdin=children.PIPE, stdout=children.PIPE, stderr=log)
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise SimulatorError(self.last_words() or "the simulator ended at once")
        self.port = int(json.loads(line)["url"].split(":")[2].split("/")[0])
        return self

    def stop(self):
        status = children.end(self._process)
        for pipe in (self._process.stdin, self._process.stdout) if self._process else ():
            pipe.close()
        self._process = None
        return status

    def wait_ended(self, within_s=10):
        """Exit status of a simulator that is expected to end by itself."""
        return self._process.wait(within_s)

    def last_words(self):
        lines = self.log_path.read_text().strip().splitlines()
        return lines[-1] if lines else ""

    def make_token(self, system_uuid, header=None, algorithm=None, without=(), **claims):
        """For tests: a token signed by the key in use whose claims are the usual ones, changed by ``claims``.

        It is in no list and no state. ``without`` names claims to leave out; ``header`` replaces the header.
        """
        cloud = self._cloud()
        now = int(time.time())
        usual = cloud.claims(system_uuid, now, now + 86400, signing.new_uuid(), cloud.subject["roles"])
        made = {name: value for name, value in {**usual, **claims}.items() if name not in without}
        return cloud.sign(made, algorithm, header)

    def sign(self, claims, header=None, algorithm=None):
        """For tests: a token over exactly these claims (dict or bytes), signed by the key in use."""
        return self._cloud().sign(claims, algorithm, header)

    def key_set(self):
        """For tests: the key set as published, as a dict."""
        return json.loads(self._cloud().key_set_message())

    def _cloud(self):
        """The state as the simulator last wrote it, for reading only."""
        return Cloud(self.folder / server.STATE_NAME, self.slug, read_only=True)

    def _command(self):
        identity, ca = self.broker.pki.simulator, self.broker.pki.ca
        command = [sys.executable, "-m", "latchkey_tools.sim", "--folder", self.folder, "--slug", self.slug]
        command += ["--broker", f"mqtts://127.0.0.1:{self.broker.port}", "--ca", ca.cert_pem]
        command += ["--cert", identity.cert_pem, "--key", identity.key_pem, "--issuer", self.issuer]
        command += ["--authority", self.broker.pki.folder]
        command += ["--port", self.port] + [part for s in self.systems for part in ("--system", s)]
        return command + (["--algorithm", self.algorithm] if self.algorithm else [])
