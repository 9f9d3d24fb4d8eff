"""What is answered as failed has not happened, however little memory was left (A12)."""

import json

import on_port

import counts


def test_a_change_is_answered_as_what_became_of_it():
    printed = on_port.run("little_memory.py", str(counts.get("memory_step_bytes")), heapsize="1M", timeout_s=500)
    routes = [json.loads(line) for line in printed.splitlines()]
    assert len(routes) == 5
    for route in routes:
        assert route["status"] in (200, 202) and route["least"] > 1000
        assert route["wrong"] == []
