"""Ten clients send forged tokens as fast as they can; whoever is rightful hardly notices (V9)."""

import base64
import json
import random
import subprocess
import sys
import time
import uuid
from pathlib import Path

import api_process
import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

HERE = Path(__file__).resolve().parent
SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
NOW = 1763900000
KEY = serialization.load_pem_private_key(
    json.loads((HERE.parent / "vectors" / "test_keys.json").read_text())[0].encode(), None
)
SECONDS = 6


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(jti, key=KEY):
    """A token for SYSTEM; with ``key`` None its signature is noise."""
    claims = {"jti": jti, "sub": jti, "aud": SYSTEM, "exp": NOW + 3600, "nbf": NOW - 60, "iat": NOW}
    claims["roles"] = [{"uuid": "8d86661d-985d-4878-a8f5-69723acfa364", "name": "Domain Owner"}]
    signed = b64(b'{"alg":"RS512","typ":"JWT"}') + "." + b64(json.dumps(claims).encode())
    noise = random.Random(jti).randbytes(255)
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA512()) if key else b"\1" + noise
    return f"CLOUD-{signed}.{b64(signature)}"


@pytest.fixture
def listed():
    return [str(uuid.uuid4()) for _ in range(8)]


def document(listed):
    """The document for real_verifier.make."""
    n = KEY.public_key().public_numbers().n
    key = {"kty": "RSA", "n": b64(n.to_bytes(256, "big")), "e": "AQAB"}
    return {"jwks": {"keys": [key]}, "system_uuid": SYSTEM, "now_unix_s": NOW, "listed": listed}


@pytest.fixture
def device(tmp_path, listed):
    (tmp_path / "verifier.json").write_text(json.dumps(document(listed)))
    with api_process.running(heapsize="768K", verifier=tmp_path / "verifier.json") as process:
        yield process


def get(client, word):
    return client.get("/v1/state", headers={"Authorization": "Bearer " + word})


def client_at(device, address):
    return httpx.Client(base_url=device.url, transport=httpx.HTTPTransport(local_address=address), timeout=10)


def started_forgers(device):
    command = [sys.executable, HERE / "forgers.py", str(device.port), "10", str(SECONDS)]
    forgers = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    forgers.stdin.write("\n".join(token(str(uuid.uuid4()), None) for _ in range(200)))
    forgers.stdin.close()
    return forgers


def test_ten_forgers_do_not_keep_the_rightful_out(device, listed):
    with client_at(device, "127.0.0.2") as owner:
        known = token(listed[0])
        assert get(owner, known).status_code == 200
        forgers = started_forgers(device)
        time.sleep(1)
        slowest_entry_s = max(entry_s(device, n, jti) for n, jti in enumerate(listed[1:4]))
        waits = sorted(timed(owner, known) for _ in range(300))
        sent = json.loads(forgers.stdout.read())
    forgers.wait()
    assert sent["sent"] > 500 and "200" not in sent
    assert waits[int(len(waits) * 0.99)] < 0.5
    assert slowest_entry_s < 2


def timed(client, word):
    began = time.monotonic()
    assert get(client, word).status_code == 200
    return time.monotonic() - began


def entry_s(device, number, jti):
    """Seconds until a new rightful token, known to the ledger, is accepted; a 429 is tried again at once."""
    began = time.monotonic()
    with client_at(device, f"127.0.2.{number + 1}") as client:
        while get(client, token(jti)).status_code != 200:
            assert time.monotonic() - began < 5
            time.sleep(0.05)
    return time.monotonic() - began
