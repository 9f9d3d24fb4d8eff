"""A full, a read-only and a rotten flash, on real LittleFS."""

import pytest
from on_mpy import stories


@pytest.fixture(scope="module")
def found():
    return stories("import flash_faults; flash_faults.main()")


@pytest.mark.parametrize("fault", ["full", "readonly"])
def test_a_flash_that_takes_nothing_says_so_and_the_old_state_stays(found, fault):
    told = [s for s in found if s["fault"] == fault]
    assert len(told) > 5
    for story in told:
        # A few bytes may find room inside the directory's block even when no block is left.
        if not (fault == "full" and story["code"] is None and story["new"]):
            assert story["old"] and story["code"] == f"store_{fault}", story
        assert story["again"] is None, story


def test_garbage_in_any_block_is_never_believed(found):
    for story in (s for s in found if s["fault"] == "garbage"):
        print(story)
        # A secret's slots have no report of their own.
        assert story["silent"] == 0 or story["story"] == "Secret", story
        assert story["wrong"] == 0 and story["newest"] > 0 and story["older"] + story["nothing"] > 0, story
