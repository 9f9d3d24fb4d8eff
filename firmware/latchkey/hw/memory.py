"""Memory outside MicroPython's heap, which Wi-Fi, threads and TLS share on an ESP32 (ESP-IDF's heap)."""

import errno
import gc

from latchkey.limits import const

try:
    from esp32 import HEAP_DATA, idf_heap_info
except ImportError:  # the desk, which has no such bounds
    HEAP_DATA, idf_heap_info = 0, None  # pyright: ignore[reportGeneralTypeIssues]

# Measured on an emulated ESP32 with MicroPython 1.26.1: a session took 26.7 KB. Its largest piece is mbedTLS's buffer
# for what comes in, 16,384 bytes and a record's overhead (ports/esp32: CONFIG_MBEDTLS_SSL_IN_CONTENT_LEN).
_TLS_BYTES = const(28 * 1024)
_TLS_BLOCK_BYTES = const(17 * 1024)


def outside():
    """Dict of bytes, empty on the desk: free in ESP-IDF's heap, its largest block, and the least that was ever free."""
    if idf_heap_info is None:
        return {}
    free = largest = lowest = 0
    for _, its_free, its_largest, its_lowest in idf_heap_info(HEAP_DATA):
        free += its_free
        largest = max(largest, its_largest)
        lowest += its_lowest
    return {"idf_free_bytes": free, "idf_largest_bytes": largest, "idf_lowest_bytes": lowest}


def tls_fits():
    """Whether one more TLS session finds its memory."""
    found = outside()
    return not found or found["idf_free_bytes"] >= _TLS_BYTES and found["idf_largest_bytes"] >= _TLS_BLOCK_BYTES


def heap():
    """Dict of bytes: MicroPython's heap, and what is outside of it."""
    gc.collect()
    found = outside()
    found["free_bytes"] = gc.mem_free()
    found["used_bytes"] = gc.mem_alloc()
    return found


def was_short(exc):
    """Whether ``exc`` says that memory was too short: in Python, ENOMEM, or in MicroPython's words for ESP-IDF's
    failures ("WiFi Out of Memory", "can't create thread")."""
    text = str(exc).lower()
    return isinstance(exc, MemoryError) or errno.ENOMEM in exc.args or "memory" in text or "create thread" in text
