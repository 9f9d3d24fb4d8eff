"""The HTTP status of every code that a client can see. A code is never renamed and never changes its meaning.

docs/codes.md says what each means; a test compares the two.
"""

# One text, since a dict of these takes 1 KB of RAM.
_TABLE = (
    "|400 bad_request json_refused token_in_url manifest_refused payload_refused "
    "|401 token_missing token_malformed header_refused alg_refused bad_signature claims_refused wrong_system "
    "wrong_issuer expired not_yet_valid revoked unlisted ledger_unknown ledger_full clock_unset "
    "|403 no_permission insufficient_scope plain_http origin_refused presence_needed serial_only "
    "manifest_signature keys_pinned "
    "|404 not_found |405 method_not_allowed |408 timeout "
    "|409 locks_out attempt_running no_access_point no_update_key wrong_product wrong_board counter_low unproven "
    "update_running wrong_offset wrong_cloud key_set_old "
    "|411 length_required |413 too_large |414 uri_too_long |415 media_type |421 wrong_host "
    "|422 invalid_field |426 tls_required |429 verify_busy |431 headers_too_large |500 server_error "
    "|503 unprovisioned no_keys safe_boot full_house no_memory |507 not_stored no_room "
)


def status(code):
    """HTTP status of a code, None for one that clients do not see."""
    at = _TABLE.find(" " + code + " ")
    start = _TABLE.rfind("|", 0, at) + 1
    return None if at < 0 else int(_TABLE[start : start + 3])
