"""Many reconnects on the unix port with a board's heap: memory, descriptors and threads stay flat."""

import pytest
from cloud_rig import KEYS_TOPIC, LIST_TOPIC, SYSTEM_UUID, device, hostile, key_set, publish, token_list, until

import counts
from latchkey_tools.sim import pki


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), "company-example", SYSTEM_UUID)


def test_reconnects_leave_heap_descriptors_and_threads_flat(made):
    sessions = [0]
    stay = [True]

    def script(peer):
        peer.welcome()
        sessions[0] += 1
        peer.send(publish(KEYS_TOPIC, key_set("one")) + publish(LIST_TOPIC, token_list(5)))
        if stay[0]:
            peer.stay()
        # Gone in the middle of something, each time somewhere else.
        peer.send(publish(LIST_TOPIC, token_list(5))[: sessions[0] * 37 % 2000])

    def settled(desk):
        stay[0] = True
        desk.wait_for("online", timeout_s=30)
        until(lambda: desk.told()["kids"] == ["one"])
        return desk.footprint()

    with hostile(made, script) as broker:
        with device("micropython", made.folder, broker.port, heapsize="256K") as desk:
            settled(desk)
            footprints = []
            for _ in range(4):
                stay[0] = False
                broker.drop()
                goal = sessions[0] + counts.get("reconnects") // 4
                until(lambda goal=goal: sessions[0] >= goal, 600)
                broker.drop()
                footprints.append(settled(desk))
                assert desk.get()[0] == 200
            assert not broker.failures, broker.failures
    print("free heap, descriptors, threads:", footprints)
    free = [footprint[0] for footprint in footprints]
    # The collector takes a stale word on a stack for a pointer, at times to a parser's window of 4 KB.
    assert max(free) - min(free) < 2 * 4096, footprints
    assert len({footprint[1:] for footprint in footprints}) == 1, footprints
