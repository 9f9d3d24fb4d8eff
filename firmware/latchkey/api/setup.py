"""Requests that set a device up: pairing and configuration. Judges them; the device carries them out.

Loaded for one such request and unloaded again (latchkey.device.lazy). Each handler takes ``device``
(latchkey.device.app.Device) and the admitted request, whose token may configure. A3's line between settings and
trust settings is drawn here.
"""

from latchkey.api.handlers import as_json
from latchkey.device import config as config_
from latchkey.device import provision, settings
from latchkey.device.pairing import Attempt
from latchkey.errors import ConfigError, LatchkeyError, StoreError, TokenError

# Changes of these have to be tried on the broker (A6).
_CLOUD = ("slug", "broker")
_PAIRING = ("wifi", "name", "broker")
_WIFI = ("ssid", "passphrase")


def post_pairing(device, request):
    """Try to join a network."""
    check_may_try(device)
    body = request.body
    provision.checked(body, _PAIRING)
    wifi = provision.checked(body.get("wifi"), _WIFI, "wifi")
    ssid, passphrase = wifi.get("ssid"), provision.wifi_key(wifi.get("passphrase"), "wifi.passphrase")
    if not ssid:
        raise ConfigError("invalid_field", "wifi.ssid")
    config = config_.merged(device.config, dict(body, wifi={"ssid": ssid}))
    by = None
    if config["broker"] != device.config["broker"]:
        by = _by(device, request, ["broker"])
    return _begin(device, request, Attempt(config, passphrase, True, by is not None, by))


def delete_pairing(device, _request):
    """Leave the network."""
    device.pairing.check_idle()
    if device.settings["ap_passphrase"] is None:
        raise LatchkeyError("no_access_point")
    stored(device.pairing.leave)
    return 202, device.pairing.status()


def get_networks(device, _request):
    """Networks in reach, as the last scan found them."""
    radio = device.board.radio
    found = [{"ssid": ssid, "rssi_dbm": rssi, "secured": secured} for ssid, rssi, secured in radio.networks]
    age_s = None if radio.scanned_ms is None else device.uptime_s() - radio.scanned_ms // 1000
    return {"networks": found, "scanned_s": age_s}


def get_config(device, _request):
    """The configuration and the record of trust; no secret is in either."""
    return {"config": device.config, "trust": device.settings["trust"]}


def patch_config(device, request):
    """Change settings; trust settings with presence, and never so that who asks is shut out."""
    device.pairing.check_idle()
    config, trust = config_.patched(device.config, request.body)
    by = _by(device, request, trust) if trust else None
    if [name for name in trust if name in _CLOUD]:
        check_may_try(device)
        return _begin(device, request, Attempt(config, cloud=True, by=by))
    record = device.settings["trust"]
    if by:
        _check_not_shut_out(device, request, config)
        record = settings.with_trust(record, by)
    # Before anything is stored, since memory may not suffice for it.
    answer = as_json(200, {"config": config, "trust": record})
    if config != device.config:
        stored(device.keep, config, by)
    if "ntp" in trust:
        device.stale = True
    return answer


def check_may_try(device):
    """Nothing is tried while something else is, nor in the safe state, which has no network and no link."""
    device.pairing.check_idle()
    if device.upload and device.upload.running:
        raise LatchkeyError("update_running")
    if device.safe:
        raise LatchkeyError("safe_boot")


def check_present(device):
    """Somebody is at the device (A3)."""
    if not device.pairing.present:
        raise LatchkeyError("presence_needed")


def _begin(device, request, attempt):
    if attempt.by:
        _check_not_shut_out(device, request, attempt.config)
    stored(device.pairing.begin, attempt)
    return 202, device.pairing.status()


def _by(device, request, names):
    """The change of trust settings for the record: its token, fields and time; only with presence (A3)."""
    check_present(device)
    return request.grant.jti, names, device.floor.floor_unix_s


def _check_not_shut_out(device, request, config):
    """The token of this request has to configure under the new policy too. LatchkeyError "locks_out", "verify_busy"."""
    then = settings.policy_of(config)
    try:
        grant = device.verifier.verify(request.token, request.peer, then)
        shut = "configure" not in grant.permissions
    except TokenError as exc:
        if exc.code == "verify_busy":
            raise
        shut = True
    if shut:
        raise LatchkeyError("locks_out")


def stored(change, *parts):
    """Call ``change``; LatchkeyError "not_stored" if flash refuses."""
    try:
        change(*parts)
    except StoreError:
        raise LatchkeyError("not_stored")
