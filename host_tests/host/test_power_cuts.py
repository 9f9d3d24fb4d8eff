"""The power pulled at every moment of every update, on real LittleFS."""

from on_mpy import stories

import counts


def test_a_power_cut_at_any_step_leaves_the_whole_old_or_the_whole_new_state():
    found = stories(f"import power_cuts; power_cuts.main({counts.get('power_cut_updates')})")
    for story in found:
        print(story)
    print("power cuts:", sum(s["cuts"] for s in found), "lost:", sum(s["lost"] for s in found))
    assert all(s["differ"] and s["cuts"] >= 3 for s in found)
    assert [s for s in found if s["lost"]] == []


def test_with_the_commit_order_turned_round_cuts_lose_every_store():
    found = stories("import power_cuts; power_cuts.main(3, True)")
    lost = {s["story"] for s in found if s["lost"]}
    assert lost == {s["story"] for s in found}
