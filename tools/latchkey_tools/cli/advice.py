"""What the person can do: about every code that a device answers, every reason of its cloud link and of pairing.

The sentences are those of docs/security.md, docs/cloud.md and docs/pairing.md, which no installed package carries; a
test holds them equal. They are shown without their backticks.
"""

CODES = {
    "token_missing": "send the token in that header",
    "token_malformed": "copy the token again, whole, without spaces",
    "header_refused": "use a token made by the cloud",
    "alg_refused": "use a token made by the cloud",
    "bad_signature": (
        "get a new token; if new ones fail too, the device has missed a key rotation: let it reach "
        "the broker"
    ),
    "claims_refused": "use a token made by the cloud",
    "wrong_system": "use the token made for this device's System UUID (`/v1/info` shows it)",
    "wrong_issuer": "use a token of the Domain the device belongs to",
    "expired": "make a new token or have it extended",
    "not_yet_valid": "wait; if the date is right, the device's clock is behind: let it reach the network",
    "revoked": "make a new token",
    "unlisted": "let the device reach the broker, then try again",
    "ledger_unknown": "let the device reach the broker, then change any token in the cloud: it sends a new list",
    "ledger_full": "delete old tokens in the cloud",
    "clock_unset": "let the device reach the network",
    "no_permission": "ask the owner for a role, or the maker for the table",
    "insufficient_scope": "use a token with a higher role, HTTPS, or the access point",
    "verify_busy": "wait as `Retry-After` says",
    "unprovisioned": "provision it over the wire",
    "no_keys": "let it reach the broker, or load keys over the wire",
    "safe_boot": "read `/v1/log`, then restart it (`POST /v1/restart`, or power off and on)",
    "bad_request": "correct the client",
    "json_refused": "correct the body",
    "token_in_url": "send it in the `Authorization` header",
    "plain_http": "use the access point, or give the device a certificate and use HTTPS",
    "origin_refused": "call from the device's own address, or from a program",
    "presence_needed": (
        "press the button (without one: switch it on five times, a few seconds each), then try again"
    ),
    "serial_only": "provision it over the wire",
    "not_found": "see `openapi.yaml`",
    "method_not_allowed": "use one of them",
    "timeout": "send it faster",
    "locks_out": "keep a role of yours at `configure`, and the issuer that your tokens have",
    "attempt_running": "wait until `GET /v1/pairing` no longer says joining",
    "no_access_point": "provision one over the wire",
    "length_required": "send the length",
    "too_large": "send less",
    "uri_too_long": "shorten it",
    "media_type": "set `Content-Type`",
    "wrong_host": "use its IP address or `.local` name",
    "invalid_field": "correct the field",
    "tls_required": "use `https://`",
    "headers_too_large": "send fewer",
    "server_error": "report it with `/v1/log`",
    "full_house": "try again as `Retry-After` says",
    "not_stored": "try again; if it stays, power the device off and on, and report it with `/v1/log`",
}

# reason: (what happened, what to do)
REASONS = {
    "no_wifi": ("no network", "see to the Wi-Fi; the broker is tried as soon as it is back"),
    "wifi_not_set": ("no network is given", "give one when pairing"),
    "wifi_not_found": ("no such network in reach", "check name and distance"),
    "wifi_wrong_passphrase": ("the access point refuses the passphrase", "give the right one"),
    "wifi_wrong_security": (
        "the network wants a passphrase and none was given, or has none, or too old a security",
        "give its passphrase, or leave it out for an open network",
    ),
    "dns": ("the broker's name does not resolve", "check `broker.host`, and the network's name server"),
    "no_route": ("the network knows no way there", "check the router"),
    "no_answer": (
        "nobody answers at that address and port",
        "check `broker.port` and firewalls: MQTT over TLS is port 8883",
    ),
    "refused": ("the address answers, the port is closed", "check `broker.port`; the broker may be restarting"),
    "credentials_bad": ("certificate or key on the device cannot be used", "provision again"),
    "cert_wrong_ca": (
        "the broker's certificate is from another authority",
        "check `broker.host`; provision the right CA",
    ),
    "cert_wrong_name": ("the broker's certificate is for another name", "check `broker.host`"),
    "cert_expired": ("the broker's certificate has expired", "renew it at the broker"),
    "cert_not_yet_valid": ("the broker's certificate is not valid yet", "check the broker's clock and certificate"),
    "clock_unset": (
        "the same, but nobody has set this device's clock",
        "name a time server (`ntp`), or set the time over the wire",
    ),
    "clock_doubted": (
        "by this device's clock the broker's certificate is out of date, but no handshake has confirmed the clock",
        "name a good time server (`ntp`), or set the time over the wire; if the clock is right, renew the certificate",
    ),
    "cert_refused": ("the broker refuses this device's certificate", "see `cert_not_after`; renew the certificate"),
    "closed_early": (
        "the broker closed before it answered: most often it refuses the certificate without a word",
        "as for `cert_refused`",
    ),
    "tls_failed": (
        "TLS failed in another way, `detail` is the library's number",
        "check that the port speaks TLS 1.2 or later",
    ),
    "broker_refused": (
        "CONNACK said no; `detail` is its return code (MQTT 3.1.1, table 3.1)",
        "check the System's rights at the broker",
    ),
    "subscription_refused": (
        "SUBACK said no; `detail` names the topic",
        "check `slug`, System UUID and the broker's access rules",
    ),
    "closed": ("the broker closed the connection", "it is tried again"),
    "stalled": ("silence: half a packet, no answer to a ping, or slower than 2 KB/s", "it is tried again"),
    "bad_packet": ("the peer does not speak MQTT, or speaks it wrongly", "check `broker.host` and port"),
    "packet_too_large": ("a packet of more than 2 MB", "it is tried again"),
    "no_memory": ("too little memory for this message", "it is tried again, and retained messages come again"),
    "loop_stalled": ("the device was too busy to take messages", "it is tried again"),
    "internal": ("a fault in the firmware", "report it"),
}

# The same for an attempt of a network; what is not here has the words of the cloud link.
PAIRING_REASONS = {
    "wifi_wrong_passphrase": ("the network refuses the passphrase, three times", "type it again"),
    "wifi_not_found": (
        "no such network in reach, three times",
        "check the name and the distance; ESP32 hears 2.4 GHz only",
    ),
    "wifi_wrong_security": (
        "the network wants a passphrase and none was given, or the other way round; or its security is too old (WEP)",
        "give its passphrase, or leave it out for an open network",
    ),
    "no_address": ("joined, and no address came (DHCP)", "see to the router"),
    "no_route": ("an address came, without a gateway", "see to the router: the device could never reach its cloud"),
    "no_wifi": ("nothing came of it in two minutes", "move it nearer"),
    "power_cut": ("it was switched off or restarted meanwhile", "try again"),
    "no_memory": ("memory was too short to try", "restart the device and try again"),
    "not_stored": ("it joined, but flash refused to keep it", "try again; then see the device's log"),
}


def advice(code):
    """What to do about a device's code; a pointer to the table for one that this version does not know."""
    return CODES.get(code, "see docs/security.md of the device's version").replace("`", "")


def link_advice(reason):
    """(what happened, what to do) about a reason of the cloud link."""
    happened, todo = REASONS.get(reason, (f"it says {reason}", "see docs/cloud.md of the device's version"))
    if todo.startswith("as for `"):
        todo = REASONS[todo.split("`")[1]][1]
    return happened.replace("`", ""), todo.replace("`", "")


def pairing_advice(reason):
    """(what happened, what to do) about an attempt of a network or broker that failed."""
    if reason not in PAIRING_REASONS:
        return link_advice(reason)
    happened, todo = PAIRING_REASONS[reason]
    return happened.replace("`", ""), todo.replace("`", "")
