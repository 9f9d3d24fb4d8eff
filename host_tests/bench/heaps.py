"""Heaps of which little is free, or only small pieces. On MicroPython alone."""

import gc

KEPT = [None] * 40000


def fill(free_bytes):
    """Keep blocks until ``free_bytes`` are left, in one piece. A frame of its own would leave more on the heap."""
    gc.collect()
    KEPT[0] = bytearray(free_bytes)
    n = _fill_up(1)
    gc.collect()
    while gc.mem_free():
        KEPT[n] = n + 0.5  # a float takes the least that there is: one block of the heap
        n += 1
    KEPT[0] = None
    gc.collect()


def break_up(size):
    """Half of the heap is kept, in blocks with as many free ones of ``size`` bytes between them."""
    gc.collect()
    n = _fill_up(0, (size, 256, 64, 24))
    for i in range(0, n, 2):
        if len(KEPT[i]) == size:
            KEPT[i] = None
    gc.collect()
    try:
        bytearray(size + 64)
    except MemoryError:
        return
    raise ValueError("a larger piece is free")


def _fill_up(n, sizes=(4096, 1024, 256, 64, 24)):
    for size in sizes:
        try:
            while True:
                KEPT[n] = bytearray(size)
                n += 1
        except MemoryError:
            pass
    return n


def give_back():
    for n in range(len(KEPT)):
        KEPT[n] = None
    gc.collect()
