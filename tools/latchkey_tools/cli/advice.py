"""The one table of words: what every code of a device's answers and every reason of its link and of pairing means, and
what to do.

Devices send codes alone. docs/codes.md, docs/cloud.md, docs/pairing.md and the firmware's statuses are tested
against this table. Commands show it without backticks and without the numbers of rules.
"""

import re

# code: (HTTP status, what it means, what to do), in the order of docs/codes.md
CODES = {
    "token_missing": (
        401,
        "the request has no `Authorization: Bearer CLOUD-...` header",
        "send the token in that header",
    ),
    "token_malformed": (
        401,
        "the token is not `CLOUD-` and three strict base64url segments, or is over 2,048 bytes (V1)",
        "copy the token again, whole, without spaces",
    ),
    "header_refused": (
        401,
        "the token's header is not a strict JSON object, or has `crit`, `b64`, `zip` or another `typ` (V2)",
        "use a token made by the cloud",
    ),
    "alg_refused": (
        401,
        "the token's signing method (`alg`) is not exactly RS256 or RS512 (V2)",
        "use a token made by the cloud",
    ),
    "bad_signature": (
        401,
        "no key on the device verifies the token's signature (V4, V5)",
        "get a new token; if new ones fail too, the device has missed a key rotation: let it reach the broker",
    ),
    "claims_refused": (
        401,
        "a claim of the token is missing, has a wrong type or is out of bounds (V6)",
        "use a token made by the cloud",
    ),
    "wrong_system": (
        401,
        "the token is for another System (its `aud`)",
        "use the token made for this device's System UUID (`/v1/info` shows it)",
    ),
    "wrong_issuer": (
        401,
        "the token is not from the configured issuer (its `iss`)",
        "use a token of the Domain that the device belongs to",
    ),
    "expired": (
        401,
        "the token has ended: its `exp`, or `expiresAt` in the cloud's list, is past",
        "make a new token or have it extended",
    ),
    "not_yet_valid": (
        401,
        "the token is not valid yet: its `nbf`, or `notBefore` in the cloud's list, is in the future",
        "wait; if the date is right, the device's clock is behind: let it reach the network",
    ),
    "revoked": (401, "the cloud's list refuses the token, or no longer has it (L2, L3)", "make a new token"),
    "unlisted": (
        401,
        'the token is not in the cloud\'s list, and policy `unlisted` is "refuse" (L4)',
        "let the device reach the broker, then try again",
    ),
    "ledger_unknown": (
        401,
        "the device lost its token list, could not read all of it, or could not store it (L6)",
        "let the device reach the broker, then change any token in the cloud: it sends a new list",
    ),
    "ledger_full": (
        401,
        "the cloud's list is longer than this device can hold, and this token is not among those that it holds (L7)",
        "delete old tokens in the cloud",
    ),
    "clock_unset": (
        401,
        (
            'the clock is not trusted and policy `clock_unset` is "refuse" (T3); in `latchkey.simple`, the time '
            "is before 2020"
        ),
        "let the device reach the network",
    ),
    "no_permission": (
        403,
        "no role in the token is in this device's role table",
        "ask the owner for a role, or the maker for the table",
    ),
    "insufficient_scope": (
        403,
        "the token's roles permit less than this request needs",
        "use a token with a higher role",
    ),
    "verify_busy": (
        429,
        "too many unknown tokens were tried, or the last token from this address was forged (V9)",
        "wait some seconds (`Retry-After` says how many), then try again",
    ),
    "unprovisioned": (503, "the device has no System UUID yet", "provision it over the serial cable"),
    "no_keys": (503, "the device has no key set yet", "let it reach the broker, or load keys over the serial cable"),
    "safe_boot": (
        503,
        "the device crashed three times in a row and runs without its application (A9)",
        "read its log (`/v1/log`), then restart it (`POST /v1/restart`, or power off and on)",
    ),
    "bad_request": (
        400,
        "the request is not valid HTTP/1.1, or this API does not support its form",
        "correct the client",
    ),
    "json_refused": (
        400,
        "the body is not strict JSON (duplicate names, NaN, bytes after the end, ...)",
        "correct the body",
    ),
    "token_in_url": (
        400,
        "a token is in the path or query, percent-encoded or not: it would end up in logs",
        "send it in the `Authorization` header",
    ),
    "manifest_refused": (
        400,
        "the file is not a release file, or its manifest is not valid",
        "use a file made by `latchkey release`",
    ),
    "payload_refused": (400, "what follows the manifest is not what the manifest names", "copy the file again, whole"),
    "plain_http": (
        403,
        "this may not be done over plain HTTP from the network (A2, policy `plain_http`)",
        "use the access point, or give the device a certificate and use HTTPS",
    ),
    "origin_refused": (
        403,
        "the request is from another web page, which `Origin` names (A4)",
        "call from the device's own address, or from a program",
    ),
    "presence_needed": (
        403,
        "this is a trust setting, an update or comes with a key, and nobody pressed the button within 10 minutes (A3)",
        "press the button (without one: switch it on five times, a few seconds each), then try again",
    ),
    "serial_only": (
        403,
        "only provisioning over the serial cable may set this field (A3)",
        "provision it over the serial cable",
    ),
    "manifest_signature": (
        403,
        "no release key of this device has signed the file",
        "use a file of this device's maker",
    ),
    "keys_pinned": (
        403,
        "this device takes keys over the serial cable alone (K4, policy `keys`)",
        "load keys over the serial cable",
    ),
    "not_found": (
        404,
        "there is no such path on this device",
        "correct the path (`docs/openapi.yaml` lists them); a product may lack a feature",
    ),
    "method_not_allowed": (
        405,
        "the path exists, but not with this method; `Allow` names its methods",
        "use one of them",
    ),
    "timeout": (408, "the request did not arrive within the deadline", "send it faster"),
    "locks_out": (
        409,
        "after this change the token of this request could no longer configure",
        "keep a role of yours at `configure`, and the issuer that your tokens have",
    ),
    "attempt_running": (
        409,
        "the device is trying a network, a broker or a certificate (A6)",
        "wait until the attempt has ended: `GET /v1/pairing` no longer says joining",
    ),
    "no_access_point": (
        409,
        "without its network the device could not be reached: no access-point passphrase is provisioned (A5)",
        "provision one over the serial cable",
    ),
    "no_update_key": (409, "no release key was provisioned on this device", "provision one over the serial cable"),
    "wrong_product": (
        409,
        "the release is for another product",
        "use the release of this product (`/v1/info` shows it)",
    ),
    "wrong_board": (
        409,
        "the release is for another board, or of the other kind (files or image)",
        "use the release for this board and kind (`/v1/firmware` shows both)",
    ),
    "counter_low": (
        409,
        "the device has had a newer file of this sort",
        "use the newest file; only the serial cable goes back",
    ),
    "unproven": (
        409,
        "the device has not proven its present release yet",
        "wait until it is good or the one before is back, at most 15 minutes",
    ),
    "update_running": (409, "another upload is running", "wait until it has ended"),
    "wrong_offset": (409, "the upload does not go on where the device is", "go on at `received` of `/v1/firmware`"),
    "wrong_cloud": (409, "the key set is for another slug or issuer", "use the key set of this device's cloud"),
    "key_set_old": (
        409,
        "the device has had a newer key set from the broker or by cable",
        "use the newest file, or let it reach the broker",
    ),
    "length_required": (411, "the request has a body without `Content-Length`", "send the length"),
    "too_large": (413, "the body is over the limit of its path", "send less"),
    "uri_too_long": (414, "the request line is over the limit", "shorten it"),
    "media_type": (
        415,
        "the body is not of the media type of its path (mostly `application/json`), or is encoded",
        "set `Content-Type`, and send the body as it is",
    ),
    "wrong_host": (
        421,
        "the name in the address (`Host`) is not one of the device's own names (A4)",
        "use its IP address or `.local` name",
    ),
    "invalid_field": (
        422,
        "a field is unknown, has a wrong type or is out of range",
        "correct the name or the value of the field; `docs/openapi.yaml` lists both",
    ),
    "tls_required": (426, "this device serves only HTTPS (A2)", "use `https://`"),
    "headers_too_large": (431, "the header fields are over the limit", "send fewer"),
    "server_error": (
        500,
        "the firmware has a fault; the device continues to run",
        "report it with the device's log (`/v1/log`)",
    ),
    "full_house": (
        503,
        "all places for event streams are taken (A8, A11)",
        "try again in some seconds (`Retry-After` says how many)",
    ),
    "no_memory": (
        503,
        "the device had too little memory for this request; nothing has changed",
        "try again in some seconds (`Retry-After` says how many)",
    ),
    "not_stored": (
        507,
        "the device could not store the change; nothing has changed",
        "try again; if it stays, power the device off and on, and report it with the device's log (`/v1/log`)",
    ),
    "no_room": (507, "the device has no room for this release", "use a smaller release"),
}

# reason: (what happened, what to do)
REASONS = {
    "no_wifi": ("no network", "check the Wi-Fi; the broker is tried as soon as it is back"),
    "wifi_not_set": ("no network is given", "give one when pairing"),
    "wifi_not_found": ("no such network in reach", "check name and distance"),
    "wifi_wrong_passphrase": ("the access point refuses the passphrase", "give the right one"),
    "wifi_probably_passphrase": (
        "the access point refuses the passphrase, or the connection failed in another way",
        "check the passphrase; if it is right, move the device nearer",
    ),
    "wifi_weak": (
        "the signal is too weak",
        "move the device nearer to the access point, or the access point to it",
    ),
    "wifi_full": (
        "the access point refuses this device: most often it is full",
        "take another device off that network, or restart the access point",
    ),
    "wifi_wrong_security": (
        "the network wants a passphrase and none was given, or has none, or too old a security",
        "give its passphrase, or leave it out for an open network",
    ),
    "dns": ("the broker's name does not resolve", "check `broker.host`, and the network's name server"),
    "no_route": ("the network has no route there", "check the router"),
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
        "the broker's certificate is not valid yet by this device's clock, which nobody has set",
        "name a time server (`ntp`), or set the time over the serial cable",
    ),
    "clock_doubted": (
        "by this device's clock the broker's certificate is out of date, but no handshake has confirmed the clock",
        "name a good time server (`ntp`), or set the time over the serial cable; if the clock is right, "
        "renew the certificate",
    ),
    "cert_refused": (
        "the broker refuses this device's certificate",
        "renew the certificate; `cert_not_after` says when it ends",
    ),
    "closed_early": (
        "the broker closed the connection before it answered: most often it refuses the certificate",
        "as for `cert_refused`",
    ),
    "tls_failed": (
        "the encrypted connection (TLS) failed in another way; `detail` is the library's number",
        "check that the port speaks TLS 1.2 or later",
    ),
    "broker_refused": (
        "the broker refuses the connection (CONNACK); `detail` is its return code (MQTT 3.1.1, table 3.1)",
        "check the System's rights at the broker",
    ),
    "subscription_refused": (
        "the broker refuses a subscription (SUBACK); `detail` names the topic",
        "check `slug`, System UUID and the broker's access rules",
    ),
    "closed": ("the broker closed the connection", "it is tried again"),
    "stalled": ("silence: half a packet, no answer to a ping, or slower than 2 KB/s", "it is tried again"),
    "bad_packet": ("the peer does not speak MQTT, or speaks it wrongly", "check `broker.host` and port"),
    "packet_too_large": ("a packet of more than 2 MB", "it is tried again"),
    "no_memory": (
        "too little memory for this message or for a TLS session",
        "it is tried again, and retained messages come again; if it stays, use a frozen image",
    ),
    "loop_stalled": ("the device was too busy to take messages", "it is tried again"),
    "internal": ("a fault in the firmware", "report it"),
}

# The same for an attempt of a network; what is not here has the words of the cloud link.
PAIRING_REASONS = {
    "wifi_wrong_passphrase": ("the network refuses the passphrase, three times", "type it again"),
    "wifi_probably_passphrase": (
        "the network most likely refuses the passphrase, three times",
        "type it again; if it is right, move the device nearer",
    ),
    "wifi_weak": REASONS["wifi_weak"],
    "wifi_full": REASONS["wifi_full"],
    "wifi_not_found": (
        "the device found no network of this name, three times",
        "check the name and the distance; ESP32 uses 2.4 GHz only",
    ),
    "wifi_wrong_security": (
        "the network wants a passphrase and none was given, or the other way round; or its security is too old (WEP)",
        "give its passphrase, or leave it out for an open network",
    ),
    "no_address": ("it joined, but the network gave it no address (DHCP)", "check the router"),
    "no_route": (
        "it joined, but the network gave it no gateway",
        "check the router: without a gateway the device cannot reach its cloud",
    ),
    "no_wifi": ("it did not join within two minutes", "move it nearer to the access point, then try again"),
    "power_cut": ("the device was switched off or restarted", "try again"),
    "no_memory": ("it had too little memory to try", "restart the device and try again"),
    "not_stored": ("it joined, but it could not store the network", "try again; then see the device's log"),
}


# Why a release went back: (what happened, what to do).
UPDATE_REASONS = {
    "crashed": (
        "it crashed",
        "run the release on a board at your desk and read its console (`latchkey board logs`); then correct it",
    ),
    "not_good": (
        "within 15 minutes it was not online and answered no request with a valid token",
        "send it again from a place where the device is reached; if it stays, mend the release",
    ),
    "not_started": (
        "it did not start: the device was switched off just before, or it crashed at once",
        "leave the device switched on, and send it again; if it stays, run it on a board at your desk",
    ),
    "reset": (
        "it crashed, was restarted or was switched off before it was good",
        "leave the device switched on, and send it again",
    ),
}


def meaning(code):
    """The meaning of a device's code."""
    return _plain(CODES[code][1]) if code in CODES else "this version does not know this code"


def advice(code):
    """What to do about a device's code; a pointer to the table for one that this version does not know."""
    return _plain(CODES[code][2]) if code in CODES else "see docs/codes.md of the device's version"


def link_advice(reason):
    """(what happened, what to do) about a reason of the cloud link."""
    return _of(REASONS, reason, "cloud.md")


def update_advice(reason):
    """(what happened, what to do) about a release that went back."""
    return _of(UPDATE_REASONS, reason, "updates.md")


def pairing_advice(reason):
    """(what happened, what to do) about an attempt of a network or broker that failed."""
    return _of(REASONS | PAIRING_REASONS, reason, "cloud.md")


def _of(table, reason, page):
    """(what happened, what to do) by ``table``; a pointer to ``page`` for a reason that this version does not know."""
    happened, todo = table.get(reason, (f"it says {reason}", f"see docs/{page} of the device's version"))
    if todo.startswith("as for `"):
        todo = table[todo.split("`")[1]][1]
    return _plain(happened), _plain(todo)


def _plain(text):
    """``text`` without backticks and without numbers of rules, as "(A2, policy `plain_http`)"."""
    return re.sub(r" \([VKLTA]\d[^)]*\)", "", text).replace("`", "")
