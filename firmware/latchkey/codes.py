"""Every code a client can see: HTTP status and one sentence. A public contract.

docs/security.md explains each to the person at the other end; a test holds the two tables equal. A code is never
renamed and never changes its meaning. One text instead of a dict of tuples: a third of the RAM.
"""

_TABLE = """
token_missing 401 This needs a token.
token_malformed 401 This is not a CLOUD- token.
header_refused 401 The token's header is not allowed.
alg_refused 401 Only RS256 and RS512 are allowed.
bad_signature 401 No key held here signed this token.
claims_refused 401 A claim is missing or malformed.
wrong_system 401 The token is for another System.
wrong_issuer 401 The token is from another issuer.
expired 401 The token has expired.
not_yet_valid 401 The token is not valid yet.
revoked 401 The cloud has withdrawn this token.
unlisted 401 The token is not in the cloud's list.
ledger_unknown 401 The list of tokens could not be read.
ledger_full 401 The list of tokens is longer than this device can hold.
clock_unset 401 The clock is not set.
no_permission 403 No role in the token permits anything here.
insufficient_scope 403 The token's roles do not permit this.
verify_busy 429 Too many unknown tokens; try again.
unprovisioned 503 The device has not been provisioned.
no_keys 503 The device holds no keys yet.
safe_boot 503 The device is in its safe state.
bad_request 400 This is not a valid request.
json_refused 400 The body is not strict JSON.
token_in_url 400 A token must not stand in a URL.
plain_http 403 Not over plain HTTP from the network: use the access point or HTTPS.
origin_refused 403 Requests from other web pages are refused.
presence_needed 403 This needs somebody at the device.
serial_only 403 This changes over the wire only.
not_found 404 There is nothing here.
method_not_allowed 405 This method is not allowed here.
timeout 408 The request took too long.
locks_out 409 This would shut out the token that asks for it.
attempt_running 409 Another change is being tried.
no_access_point 409 There would be no way back in.
length_required 411 The body needs a Content-Length.
too_large 413 The body is too large.
uri_too_long 414 The request line is too long.
media_type 415 The body must be application/json.
wrong_host 421 This is not a name of this device.
invalid_field 422 A field has a wrong value.
tls_required 426 This needs HTTPS.
headers_too_large 431 The header fields are too large.
server_error 500 The device failed to answer; it is still running.
full_house 503 Too many event streams; try again.
not_stored 507 Flash refused; nothing has changed.
"""


def look_up(code):
    """(status, sentence) of a code, or None."""
    at = _TABLE.find("\n" + code + " ")
    if at < 0:
        return None
    _, status, sentence = _TABLE[at + 1 : _TABLE.find("\n", at + 1)].split(" ", 2)
    return int(status), sentence


def every():
    """All codes, in the order of the table."""
    return [line.split(" ", 1)[0] for line in _TABLE.strip().split("\n")]
