"""The cost of a record of a token list, beside json.loads of the same text on the unix port in the same run."""

import on_port

# 4.5 to 4.9 measured; a reader that calls a function for every byte it looks at
# took 10.2 or more in the same run, and the bound is half of it.
MOST = 5.1
RUNS = 12


def test_a_record_costs_at_most_half_of_what_it_did():
    """Until a run shows it: other work on the machine can slow down either side."""
    ratios = []
    while len(ratios) < RUNS and min(ratios, default=MOST + 1) > MOST:
        records_us, loads_us = map(int, on_port.run("ingest.py", 15).split())
        ratios.append(records_us / loads_us)
    assert min(ratios) <= MOST, ratios
