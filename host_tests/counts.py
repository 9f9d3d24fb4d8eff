"""How often the tests repeat themselves: the one file of counts.

``get(name)`` gives the count for `make test`; with LATCHKEY_SOAK=1 (`make soak`) the full one, with LATCHKEY_SOAK=short
(`make soak SOAK=short`, as CI has it) three times that of `make test`. A test that is long by nature is
marked ``@pytest.mark.soak`` and runs in `make soak` alone.
"""

import os

# name: (make test, make soak)
COUNTS = {
    "line_boards": (3, 8),
    "deploy_cuts": (1, 20),
    "bignum_cpython": (20000, 200000),
    "bignum_micropython": (2000, 20000),
    "kernel_products": (150, 20000),
    "mutated_tokens": (2000, 20000),
    "histories": (200, 2000),
    "power_cut_updates": (2, 12),
    "update_power_cuts": (3, 40),
    # For a soak test: a short soak takes a third of the first.
    "update_cut_step": (450, 1),
    "bit_flip_step": (61, 1),
    "reconnects": (100, 1000),
    "damaged_sessions": (10000, 200000),
    "openapi_examples": (25, 1000),
    "api_requests": (2000, 100000),
    "api_rate_requests": (200, 3000),
    # Every so many of NIST's messages by the plain kernel, and of the links of its chains (100 each).
    "nist_stride": (8, 1),
    "nist_links": (10, 100),
    "image_flips": (2, 20),
    "memory_step_bytes": (384, 32),
    "served_step_bytes": (3104, 32),
    "uploads_in_turn": (4, 60),
    "latency_rounds": (3, 20),
    "besieged_http": (100, 1000),
    "besieged_https": (30, 500),
}


SOAK = os.environ.get("LATCHKEY_SOAK")


def get(name):
    quick, full = COUNTS[name]
    if SOAK == "short":
        return min(full, 3 * quick) if full > quick else max(full, quick // 3)
    return full if SOAK else quick
