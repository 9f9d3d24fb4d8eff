"""DNS on the access point: what is answered, and that every odd packet is survived."""

import unittest

from latchkey.net import names

OWN = b" latchkey-792b6149 latchkey-792b6149.local "
ADDRESS = b"\xc0\xa8\x04\x01"


def packed(name):
    return b"".join([bytes([len(label)]) + label for label in name.split(b".")]) + b"\0"


def question(name, kind=1, class_=1, flags=b"\1\0", counts=b"\0\1\0\0\0\0\0\0"):
    return b"\x12\x34" + flags + counts + packed(name) + bytes([kind >> 8, kind & 255, 0, class_])


def asked(name, *more):
    return names.answer(question(name, *more), OWN, ADDRESS)


class TestAnswers(unittest.TestCase):
    def test_our_name_and_a_phones_probe_have_our_address_for_no_time(self):
        for name in (b"latchkey-792b6149.local", b"LATCHKEY-792B6149", b"captive.apple.com", b"nmcheck.gnome.org"):
            told = asked(name)
            self.assertEqual(told[:12], b"\x12\x34\x85\0\0\1\0\1\0\0\0\0")
            self.assertEqual(told[12 : 12 + len(packed(name)) + 4], packed(name) + b"\0\1\0\1")
            self.assertEqual(told[-16:], b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + ADDRESS)

    def test_another_name_does_not_exist(self):
        for name in (b"example.com", b"apple.com", b"captive.apple.com.evil.example", b"latchkey-792b6149.example"):
            told = asked(name)
            self.assertEqual(told[:12], b"\x12\x34\x85\3\0\1\0\0\0\0\0\0")
            self.assertEqual(told[12:], question(name)[12:])

    def test_a_known_name_has_no_other_kind_of_record(self):
        told = asked(b"captive.apple.com", 28)
        self.assertEqual(told[2:12], b"\x85\0\0\1\0\0\0\0\0\0")

    def test_whether_recursion_was_desired_is_repeated(self):
        self.assertEqual(asked(b"a.b", 1, 1, b"\0\0")[2], 0x84)

    def test_what_comes_behind_the_question_is_ignored(self):
        edns = question(b"captive.apple.com", 1, 1, b"\1\0", b"\0\1\0\0\0\0\0\1") + b"\0\0\x29\x10\0\0\0\0\0\0\0"
        self.assertEqual(names.answer(edns, OWN, ADDRESS), asked(b"captive.apple.com"))


class TestOddPackets(unittest.TestCase):
    def none(self, packet):
        self.assertEqual(names.answer(packet, OWN, ADDRESS), None)

    def test_a_question_that_is_cut_off_anywhere_has_no_answer(self):
        whole = question(b"captive.apple.com")
        for length in range(len(whole)):
            self.none(whole[:length])

    def test_answers_other_operations_and_other_counts_have_none(self):
        for flags in (b"\x81\0", b"\x85\x80", b"\x08\0", b"\x28\0", b"\x78\0"):
            self.none(question(b"a.b", 1, 1, flags))
        for count in (b"\0\0", b"\0\2", b"\1\1", b"\xff\xff"):
            self.none(question(b"a.b", 1, 1, b"\1\0", count + b"\0\0\0\0\0\0"))

    def test_other_classes_have_none(self):
        self.none(question(b"a.b", 1, 3))
        self.none(question(b"a.b", 1, 255))

    def test_pointers_long_labels_and_long_names_have_none(self):
        head, tail = question(b"")[:12], b"\0\1\0\1"
        self.none(head + b"\xc0\x0c" + tail)
        self.none(head + b"\1a\xc0\x0c" + tail)
        self.none(head + b"\x40" + b"a" * 64 + b"\0" + tail)
        self.none(head + (b"\x3f" + b"a" * 63) * 5 + b"\0" + tail)
        self.none(head + b"\1a" * 200 + b"\0" + tail)

    def test_a_name_with_a_blank_is_not_two_names(self):
        self.none(question(b"com captive.apple"))
        self.none(question(b"latchkey-792b6149 latchkey-792b6149.local"))

    def test_the_root_and_binary_names_do_not_exist(self):
        self.assertEqual(names.answer(question(b"")[:12] + b"\0\0\1\0\1", OWN, ADDRESS)[3], 3)
        self.assertEqual(asked(b"\xff\x80\0.\x01")[3], 3)

    def test_every_byte_of_a_question_may_be_any_byte(self):
        whole = question(b"captive.apple.com")
        for at in range(len(whole)):
            for value in (0, 1, 0x20, 0x3F, 0x40, 0x7F, 0x80, 0xBF, 0xC0, 0xFF):
                packet = whole[:at] + bytes([value]) + whole[at + 1 :]
                told = names.answer(packet, OWN, ADDRESS)
                self.assertTrue(told is None or len(told) <= len(packet) + 16)


class Radio:
    ap_open, ap_address = True, "192.168.4.1"

    def channel(self, _peer):
        return "ap"


class Socket:
    """One question waits for each peer in ``peers``; ``fault``: what receiving raises, or None."""

    def __init__(self, peers, fault=None):
        self.peers, self.fault, self.sent, self.closed = peers, fault, [], False

    def poll(self, _wait_ms):
        return self.peers

    def recvfrom(self, _most):
        if self.fault:
            raise self.fault
        return question(b"captive.apple.com"), self.peers.pop(0)

    def sendto(self, _answer, peer):
        if peer == "port 0":
            raise OSError(22)
        self.sent.append(peer)

    def close(self):
        self.closed = True


def turned(socket):
    adapter = names.Names(Radio(), 53, "latchkey-792b6149", lambda peer: peer)
    adapter._socket = adapter._poll = socket
    adapter.turn()
    return adapter


class TestAdapter(unittest.TestCase):
    def test_a_peer_that_nothing_reaches_costs_the_others_no_answer(self):
        socket = Socket(["a", "port 0", "b"])
        self.assertTrue(turned(socket)._socket is socket)
        self.assertEqual((socket.sent, socket.closed), (["a", "b"], False))

    def test_a_lack_of_memory_is_tried_again_at_the_next_turn(self):
        for fault in (MemoryError(), OSError(12)):
            socket = Socket(["a"], fault)
            adapter = turned(socket)
            self.assertTrue(socket.closed)
            self.assertEqual((adapter._socket, adapter._poll), (None, None))


if __name__ == "__main__":
    unittest.main()
