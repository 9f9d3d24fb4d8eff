"""The order of a list costs little (D5), and a question costs microseconds however many tokens are held (D10)."""

import json

import on_port


def test_neither_the_order_nor_the_length_of_a_list_makes_it_slow():
    seen = json.loads(on_port.run("ledger_order.py"))
    print(seen)
    assert max(seen["shuffled_us"], seen["turned_us"]) < 2.5 * seen["sorted_us"], seen
    for question in ("listed", "strange", "admits"):
        # 7 steps of a binary search beside none. On 4c35360 it was 12 to 18 times as much.
        assert seen[f"many_{question}_us"] < 6 * seen[f"one_{question}_us"], seen
        assert seen[f"many_{question}_us"] * 128 * 5 < seen["sorted_us"], seen
