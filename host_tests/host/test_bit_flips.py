"""One flipped bit anywhere in flash admits no revoked token, and what it takes away is reported (D3)."""

from on_mpy import stories

import counts


def test_no_flipped_bit_admits_a_revoked_token_and_every_loss_is_reported():
    found = stories(f"import bit_flips; bit_flips.main({counts.get('bit_flip_step')})", timeout_s=7200)
    for facts in found:
        print(facts)
        assert facts["whole"] and facts["flips"] > 500 and facts["lost"] > 0, facts
        assert facts["admitted"] == facts["silent"] == 0, facts
    assert {facts["nvs"] for facts in found} == {True, False}
