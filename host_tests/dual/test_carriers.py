"""Where a new release goes: the other folder, or the other program slot, and what starts then."""

import hashlib
import os
import unittest
from binascii import hexlify

import program_slots
from program_slots import Chip, Partition, program

from latchkey.errors import LatchkeyError, StoreError
from latchkey.update.folders import Folders
from latchkey.update.programs import Programs

PIECE = 4096
WANTED = {"room": 1 << 20}


def listed(files):
    """A payload of ``files``: pairs of name and content."""
    lines = [b"%s %d %s\n" % (hexlify(hashlib.sha256(data).digest()), len(data), name) for name, data in files]
    return b"".join(lines) + b"\n" + b"".join([data for _, data in files])


def send(carrier, payload, piece=PIECE):
    """All of ``payload`` into the other place, and what is read back."""
    for _ in carrier.clear():
        pass
    for at in range(0, len(payload), piece):
        carrier.write(payload[at : at + piece])
    return b"".join([bytes(part) for part in carrier.pieces()])


def remove(path):
    if os.stat(path)[0] & 0x4000:
        for name in os.listdir(path):
            remove(path + "/" + name)
        os.rmdir(path)
    else:
        os.remove(path)


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def get(path):
    with open(path, "rb") as file:
        return file.read()


RELEASE = [
    (b"main.mpy", b"M" * 5000),
    (b"latchkey/__init__.mpy", b"i"),
    (b"latchkey/api/page.html.gz", bytes(range(256)) * 40),
    (b"boot.mpy", b"B" * 4096),
]


class TestFolders(unittest.TestCase):
    def setUp(self):
        self.root = "/tmp/latchkey-%s" % hexlify(os.urandom(6)).decode()
        os.mkdir(self.root)
        self.running("a", b"7\n")

    def tearDown(self):
        remove(self.root)

    def running(self, place, mark, other=None):
        for name, text in ((place, mark), ("ab"[place == "a"], other)):
            path = self.root + "/" + name
            if text is not None:
                try:
                    os.mkdir(path)
                except OSError:
                    pass
                put(path + "/release", text)
        self.carrier = Folders(self.root + "/" + place)
        return self.carrier

    def mark(self, place):
        return get(self.root + "/%s/release" % place)

    def test_a_release_arrives_whole_and_starts_unproven(self):
        payload = listed(RELEASE)
        for piece in (PIECE, 2048, 1000, 1):
            carrier = self.running("a", b"7\n")
            self.assertEqual((carrier.running, carrier.kind), ("a7", "files"))
            name = carrier.begin(WANTED)
            self.assertEqual((name, self.mark("b")), ("b8", b"0\n"))
            self.assertEqual(send(carrier, payload, piece), payload)
            self.assertEqual(self.mark("b"), b"0\n")
            carrier.switch()
            self.assertEqual(self.mark("b"), b"8 new\n")
            self.assertEqual(sorted(os.listdir(self.root + "/b")), ["boot.mpy", "latchkey", "main.mpy", "release"])
            for path, data in RELEASE:
                self.assertEqual(get(self.root + "/b/" + path.decode()), data)
            remove(self.root + "/b")

    def test_what_was_in_the_other_folder_is_gone_and_counted_as_room(self):
        carrier = self.running("a", b"7\n", b"6\n")
        free = carrier.room()
        os.mkdir(self.root + "/b/old")
        put(self.root + "/b/old/one.mpy", b"x" * 5000)
        put(self.root + "/b/old/none.mpy", b"")
        self.assertTrue(free - 65536 < carrier.room() <= free + 8192)
        payload = listed(RELEASE)
        carrier.begin(WANTED)
        send(carrier, payload)
        carrier.switch()
        self.assertEqual(sorted(os.listdir(self.root + "/b")), ["boot.mpy", "latchkey", "main.mpy", "release"])

    def test_a_device_that_never_had_another_release_has_room_for_one(self):
        self.assertTrue(self.carrier.room() > 0)

    def test_an_upload_that_begins_anew_leaves_nothing_of_the_one_before(self):
        payload = listed(RELEASE)
        for length in (10, 300, len(payload) - 1):
            self.carrier.begin(WANTED)
            for at in range(0, length, PIECE):
                self.carrier.write(payload[at : min(at + PIECE, length)])
        self.carrier.begin(WANTED)
        self.assertEqual(send(self.carrier, payload), payload)

    def test_states_of_the_running_release(self):
        for mark, unproven in ((b"9\n", False), (b"9 0\n", True), (b"9 2\n", True)):
            carrier = self.running("b", mark, b"8\n")
            self.assertEqual((carrier.running, carrier.unproven(True)), ("b9", unproven))
        carrier.good()
        self.assertEqual((self.mark("b"), carrier.unproven(True)), (b"9\n", False))

    def test_going_back_says_why_and_the_other_one_knows(self):
        self.running("b", b"9 1\n", b"8\n").back("not_good")
        self.assertEqual(self.mark("b"), b"0 not_good\n")
        self.assertEqual(self.running("a", b"8\n").why(), "not_good")
        for mark in (b"0\n", b"7\n", b"9 new\n", b"", b"noise"):
            self.assertEqual(self.running("a", b"8\n", mark).why(), None)

    def test_the_only_release_that_starts_is_never_given_up(self):
        for other in (None, b"0\n", b"0 crashed\n", b""):
            self.running("a", b"9 1\n", other).back("not_good")
            self.assertEqual(self.mark("a"), b"9 1\n")

    def test_its_number_is_above_both(self):
        self.assertEqual(self.running("a", b"7\n", b"12 new\n").begin(WANTED), "b13")

    def refused(self, payload, piece=PIECE):
        self.carrier.begin(WANTED)
        with self.assertRaises(LatchkeyError) as caught:
            send(self.carrier, payload, piece)
        self.assertEqual(caught.exception.code, "payload_refused")
        self.assertEqual(self.mark("b"), b"0\n")

    def test_a_list_of_another_shape_is_refused(self):
        digest = hexlify(hashlib.sha256(b"x").digest())
        lines = [b"", b" ", digest, digest + b" 1", digest + b" x a.mpy", digest + b" 0 a.mpy", digest + b" -1 a.mpy"]
        lines += [b"\t" * 64 + b" 1 a.mpy", b"a" * 31 + b"\t" + b"b" * 32 + b" 1 a.mpy"]
        lines += [digest + b" 123456789 a.mpy", digest[1:] + b" 1 a.mpy", digest + b"  1 a.mpy", digest + b" 1 a.mpy "]
        names = b"a b/a.mpyx /a.mpy a//b.mpy ../a.mpy a/../b.mpy ./a.mpy A.mpy a.py release list a.mpy/ \xc3.gz a\\b.gz"
        lines += [
            digest + b" 1 " + name
            for name in names.split() + [b"a/b/c/d/e.mpy", b"a" * 61 + b".mpy", b"a\0.mpy", b"a\r.mpy"]
        ]
        for line in lines[1:]:
            for piece in (PIECE, 7):
                self.refused(line + b"\n\nx", piece)
        self.refused(b"x" * 5000)
        self.refused(b"\nx")

    def test_two_hundred_files_are_taken_and_one_more_is_not(self):
        many = [(b"f%d.gz" % n, b"x") for n in range(201)]
        self.carrier.begin(WANTED)
        self.assertEqual(send(self.carrier, listed(many[:200])), listed(many[:200]))
        self.refused(listed(many))

    def test_files_and_folders_that_take_more_than_the_manifest_says_are_refused(self):
        files = [(b"a/b/%d.gz" % n, b"x" * 5000) for n in range(5)] + [(b"c.gz", b"x")]
        payload = listed(files)
        # Two blocks for each of two folders, two for each of five files, and one.
        for blocks, taken in ((15, True), (14, False), (1, False)):
            self.carrier.begin({"room": blocks * 4096})
            if taken:
                self.assertEqual(send(self.carrier, payload), payload)
                continue
            with self.assertRaises(LatchkeyError) as caught:
                send(self.carrier, payload)
            self.assertEqual(caught.exception.code, "payload_refused")

    def test_a_payload_that_does_not_hold_what_its_list_says_is_refused(self):
        payload = listed(RELEASE)
        for end in (payload[:-1], payload + b"x", payload[:-1] + b"x", payload[: len(payload) - 4096]):
            self.refused(end)
        self.refused(listed(RELEASE + [(b"boot.mpy", b"another")]))

    def test_what_fails_leaves_no_file_open(self):
        payload = listed(RELEASE)
        for end in (payload[:-1], payload + b"x", payload[:-1] + b"x"):
            self.carrier.begin(WANTED)
            self.carrier.write(payload[:8000])
            files = self.carrier._file, self.carrier._lines
            with self.assertRaises(LatchkeyError):
                self.carrier.write(end[8000:])
                list(self.carrier.pieces())
            for file in files:
                with self.assertRaises((OSError, ValueError)):
                    file.read(1)

    def test_a_release_that_waits_for_another_token_is_read_back_again(self):
        payload = listed(RELEASE)
        self.carrier.begin(WANTED)
        self.assertEqual(send(self.carrier, payload), payload)
        self.assertEqual(b"".join([bytes(part) for part in self.carrier.pieces()]), payload)
        self.carrier.begin(WANTED)
        with self.assertRaises(LatchkeyError):
            send(self.carrier, payload[:-1])

    def test_what_rots_on_flash_is_seen(self):
        payload = listed(RELEASE)
        self.carrier.begin(WANTED)
        for at in range(0, len(payload), PIECE):
            self.carrier.write(payload[at : at + PIECE])
        put(self.root + "/b/main.mpy", b"M" * 4999 + b"N")
        with self.assertRaises(LatchkeyError) as caught:
            b"".join([bytes(part) for part in self.carrier.pieces()])
        self.assertEqual(caught.exception.code, "payload_refused")

    def test_a_name_that_is_a_file_and_a_folder_is_an_error_of_flash(self):
        self.carrier.begin(WANTED)
        with self.assertRaises(StoreError):
            send(self.carrier, listed([(b"a.gz", b"x"), (b"a.gz/b.gz", b"y")]))


class TestPrograms(unittest.TestCase):
    def setUp(self):
        self.chip = Partition._chip = Chip(first=program(8192, 1))
        self.chip.start()
        self.new = program(12272, 2)

    def carrier(self):
        return Programs(Partition(Partition.RUNNING))

    def sent(self):
        carrier = self.carrier()
        carrier.begin({"size": len(self.new)})
        self.assertEqual(send(carrier, self.new, 2048), self.new)
        return carrier

    def test_a_program_arrives_whole_is_good_and_stays(self):
        carrier = self.carrier()
        self.assertEqual((carrier.kind, carrier.running, carrier.room()), ("image", "ota_0", 16384))
        self.assertEqual(carrier.why(), None)
        self.assertEqual((carrier.unproven(True), carrier.unproven(False)), (True, False))
        self.assertEqual(carrier.begin({"size": len(self.new)}), "ota_1")
        self.assertEqual(send(carrier, self.new, 2048), self.new)
        carrier.switch()
        self.assertEqual(self.chip.start(), 1)
        self.assertEqual(self.carrier().running, "ota_1")
        self.carrier().good()
        self.assertEqual([self.chip.start() for _ in range(3)], [1, 1, 1])

    def test_any_reset_before_it_is_good_goes_back_and_it_may_be_sent_again(self):
        for _ in range(2):
            self.sent().switch()
            self.assertEqual(self.chip.start(), 1)
            self.carrier().back("not_good")
            self.assertEqual([self.chip.start() for _ in range(2)], [0, 0])
            self.carrier().good()
        self.sent().switch()
        self.assertEqual(self.chip.start(), 1)
        self.carrier().good()
        self.new = program(4096, 3)
        self.sent().switch()
        self.assertEqual(self.chip.start(), 0)
        self.assertEqual(self.chip.start(), 1)

    def test_a_program_that_is_not_whole_is_refused_and_what_starts_does_not_change(self):
        for at in (0, 5000, len(self.new) - 1):
            carrier = self.sent()
            self.chip.view(1)[at] ^= 1
            with self.assertRaises(LatchkeyError) as caught:
                carrier.switch()
            self.assertEqual((caught.exception.code, self.chip.start()), ("payload_refused", 0))

    def test_a_slot_that_is_being_filled_does_not_start(self):
        self.sent().switch()
        self.chip.start()
        self.chip.start()
        self.carrier().begin({"size": 4096})
        self.assertFalse(program_slots.is_program(self.chip.view(1)))

    def test_a_flash_that_refuses_is_a_store_error(self):
        carrier = self.sent()
        self.chip.flash.dead = True
        for act in (lambda: carrier.begin({"size": 1}), lambda: carrier.write(b"x"), carrier.switch):
            with self.assertRaises(StoreError):
                act()


if __name__ == "__main__":
    unittest.main()
