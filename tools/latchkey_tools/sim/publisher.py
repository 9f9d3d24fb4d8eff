"""The simulator's way to a broker: publishes retained messages, again at every reconnect, and only where it may.

It refuses DRIVR's own hosts, and any broker that retains a key set which it did not publish: a device there trusts
somebody else's keys, and this key set would lock its owners out.
"""

import asyncio
import json
import os
import re
import ssl
import urllib.parse
from collections import deque, namedtuple

from latchkey_tools.sim import signing

# ca: a file, SYSTEM_CAS, or None where there is no TLS
Target = namedtuple("Target", "host port ca cert key user password", defaults=(None, None))
SYSTEM_CAS = "system"

FORBIDDEN_DOMAIN = "drivr.cloud"
# Names and addresses as they are asked for. Of other letters Python's IDNA makes these, in too many ways to foresee.
_HOST = re.compile(r"[\w.:%-]+", re.A)
HISTORY = 50
_FENCE_S = 0.3
_PAUSE_S = (0.2, 0.4, 0.8, 1.5, 3.0)


class Refused(Exception):
    """A broker that this simulator must not publish to; the text says why and what to do."""


def parse_broker(url, ca=None, cert=None, key=None, user=None, password=None):
    """A Target from ``mqtts://host:port`` (or ``mqtt://`` without TLS on loopback); ValueError or Refused.

    Without ``ca`` (a PEM file) this machine's own CAs vouch for the broker.
    """
    scheme, host, port = _address(url)
    refuse_forbidden_host(host)
    if scheme == "mqtt":
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("without TLS only a broker on this machine is taken; use mqtts://")
        return Target(host, port or 1883, None, None, None, user, password)
    if key and not cert:
        raise ValueError("a private key goes with a certificate; give both")
    ca, cert, key = (path and str(path) for path in (ca or SYSTEM_CAS, cert, key))
    return Target(host, port or 8883, ca, cert, key, user, password)


def _address(url):
    """(scheme, host, port or None) of a broker's address, which holds nothing else; ValueError repeats none of it."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("give the broker as mqtts://host:port") from None
    if "@" in parts.netloc:
        raise ValueError("a login does not belong into the broker's address; give mqtts://host:port, and --user")
    more = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ("mqtts", "mqtt") or not parts.hostname or more:
        raise ValueError("give the broker as mqtts://host:port")
    return parts.scheme, parts.hostname, port


def refuse_forbidden_host(host):
    """Raises Refused for DRIVR's own hosts, however they are spelt."""
    if not _HOST.fullmatch(host):
        raise Refused("the broker's name has letters that may stand for others; write it in ASCII")
    name = host.rstrip(".").lower()
    if name == FORBIDDEN_DOMAIN or name.endswith("." + FORBIDDEN_DOMAIN):
        raise Refused(f"{host} is DRIVR's own; the simulator never goes there")


class Publisher:
    """Keeps what ``cloud`` publishes on one broker; its methods queue messages and never wait for the network.

    ``targets``: one Target, or the nodes of one cluster: when one does not answer, the next is tried. ``say`` gets
    a text when the broker is reached, and when it is not or no more; once for each change. ``.pending``: how many
    messages the broker has not acknowledged.
    """

    def __init__(self, cloud, targets, say=lambda text: None):
        self.targets = [targets] if isinstance(targets, Target) else list(targets)
        for target in self.targets:
            refuse_forbidden_host(target.host)
        self.cloud = cloud
        self.target = self.targets[0]
        self.connected = False
        self.error = None
        self._say = say
        self._told = None
        self._queue = asyncio.Queue()
        self.pending = 0
        self._history = {}

    @property
    def key_set_topic(self):
        return f"drivr/v1/{self.cloud.slug}/jwks"

    def list_topic(self, system_uuid):
        return f"drivr/v1/{self.cloud.slug}/authorization/localApiTokens/{system_uuid}"

    def publish_keys(self):
        self._put(self.key_set_topic, self.cloud.key_set_message(), True)

    def publish_list(self, system_uuid):
        """Queue a System's present list, and remember it as one that a lagging broker may serve."""
        payload = self.cloud.list_message(system_uuid)
        if payload is None:
            return
        self._history.setdefault(system_uuid, deque(maxlen=HISTORY)).append(payload)
        self._put(self.list_topic(system_uuid), payload, self.cloud.settings["retainedLists"])

    def publish_old_list(self, system_uuid, steps_back, retained):
        """Queue the list of ``steps_back`` lists ago; returns its size in bytes. IndexError if there is none."""
        known = self._history.get(system_uuid, ())
        if not 0 <= steps_back < len(known):
            raise IndexError(f"{len(known)} lists are remembered")
        payload = known[-1 - steps_back]
        self._put(self.list_topic(system_uuid), payload, retained)
        return len(payload)

    def clear_lists(self):
        """Take retained lists off the broker: from now on lists are live."""
        for system_uuid in self.cloud.systems:
            self._put(self.list_topic(system_uuid), b"", True)

    def publish_all(self):
        self.publish_keys()
        for system_uuid in self.cloud.systems:
            self.publish_list(system_uuid)

    async def run(self):
        """Stay connected until cancelled; raises Refused where publishing is forbidden."""
        # Here, since every start of the command would wait 20 ms for it otherwise.
        import aiomqtt

        attempt = 0
        while True:
            try:
                async with self._client() as client:
                    attempt = 0
                    await self._serve(client)
            except (aiomqtt.MqttError, OSError, TimeoutError) as error:
                self.error = f"{type(error).__name__}: {error}"
                self._tell(False, f"cannot be used ({error}); trying again until it can")
                self.target = self.targets[(self.targets.index(self.target) + 1) % len(self.targets)]
            finally:
                self.connected = False
            await asyncio.sleep(_PAUSE_S[min(attempt, len(_PAUSE_S) - 1)])
            attempt += 1

    async def _serve(self, client):
        await self._refuse_foreign_keys(client)
        # Queued changes are in the state already, which is published as a whole.
        while not self._queue.empty():
            self._queue.get_nowait()
        self.pending = 0
        self.publish_all()
        self.connected, self.error = True, None
        self._tell(True, "is reached; it has the key set and the lists")
        listening = asyncio.create_task(self._listen(client))
        try:
            await self._send_queue(client, listening)
        finally:
            listening.cancel()

    async def _send_queue(self, client, listening):
        while True:
            getting = asyncio.create_task(self._queue.get())
            await asyncio.wait((getting, listening), return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                return listening.result()
            topic, payload, retain = getting.result()
            # QoS 1 to the broker, so that we know when it has the message; subscribers ask for QoS 0 and get that.
            await client.publish(topic, payload, qos=1, retain=retain, timeout=30)
            self.pending -= 1

    async def _listen(self, client):
        """Watches the key set topic: somebody else publishing there ends this simulator."""
        async for message in client.messages:
            self._refuse_foreign(message)

    async def _refuse_foreign_keys(self, client):
        """Retained messages come right after their SUBACK; a pause is the fence, as MQTT has no other."""
        await client.subscribe(self.key_set_topic, qos=1, timeout=10)
        try:
            async with asyncio.timeout(_FENCE_S):
                async for message in client.messages:
                    self._refuse_foreign(message)
        except TimeoutError:
            return

    def _refuse_foreign(self, message):
        if message.payload and not self._is_ours(bytes(message.payload)):
            raise Refused(
                f"{self.target.host}:{self.target.port} has a key set on {message.topic} that this simulator did not "
                "publish; use another slug or broker, or clear that retained message if it is a leftover of yours"
            )

    def _is_ours(self, payload):
        try:
            kids = [str(member["kid"]) for member in json.loads(payload)["keys"]]
        except (ValueError, KeyError, TypeError):
            return False
        return bool(kids) and all(k.startswith(signing.KID_PREFIX) and self.cloud.published(k) for k in kids)

    def _tell(self, reached, words):
        if reached != self._told:
            self._told = reached
            self._say(f"the broker {self.target.host}:{self.target.port} {words}")

    def _put(self, topic, payload, retain):
        self._queue.put_nowait((topic, payload, retain))
        self.pending += 1

    def _client(self):
        import aiomqtt

        return aiomqtt.Client(
            self.target.host,
            self.target.port,
            identifier=f"latchkey-sim-{os.getpid()}-{os.urandom(3).hex()}",
            username=self.target.user,
            password=self.target.password,
            keepalive=20,
            timeout=10,
            tls_context=tls_context(self.target),
        )


def tls_context(target):
    """TLS context for a client of ``target``; None where it is reached without TLS. OSError for files it cannot use."""
    if not target.ca:
        return None
    context = ssl.create_default_context(cafile=None if target.ca == SYSTEM_CAS else target.ca)
    if target.cert:
        # Without a password OpenSSL would ask for an encrypted key's at the terminal, at every reconnect.
        context.load_cert_chain(target.cert, target.key, password="")
    return context
