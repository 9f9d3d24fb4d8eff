"""Measures a board for `latchkey board selftest --report`. It is sent to the board as text and runs there.

Prints a JSON object a line. ``main(ssid, passphrase, tls_host, tls_port)`` is called by a line that is added.
"""

import gc
import json
import sys
import time

_STACK_BYTES = 16 * 1024
_JOIN_MS = 15000


def say(facts):
    print(json.dumps(facts))


def main(ssid, passphrase, tls_host, tls_port):
    implementation = sys.implementation
    version = ".".join([str(n) for n in implementation[1][:3]])
    say({"machine": getattr(implementation, "_machine", ""), "micropython": version, "build": sys.version})
    start(ssid, passphrase, tls_host, tls_port)
    powers()


def powers():
    """Print the time of modular powers."""
    from latchkey import rsa

    for bits in (2048, 3072, 4096):
        size = bits // 8
        key = rsa.PublicKey(b"\xff" * (size - 1) + b"\x61", 65537)
        times = []
        for _ in range(3):
            gc.collect()
            began = time.ticks_us()
            key.power(b"\x5a" * size)
            times.append(time.ticks_diff(time.ticks_us(), began))
        say({"power_bits": bits, "us": min(times)})


def start(ssid, passphrase, tls_host, tls_port):
    """The steps of a start in a device's order, and the memory after each; what Wi-Fi answers to a wrong network, a
    wrong passphrase and the right ones; a TLS session (nothing is verified)."""
    _step("start", lambda: None)
    wlan = _step("WLAN made", _wlan)
    if wlan:
        _step("WLAN active", lambda: wlan.active(True))
        cases = [("no such network", "latchkey-selftest", "12345678")]
        if ssid:
            cases += [("wrong passphrase", ssid, passphrase + "x"), ("the network", ssid, passphrase)]
        for name, network, key in cases:
            _step(name, lambda network=network, key=key: _join(wlan, network, key))
    _step("modules imported", _modules)
    _step("thread", _run_thread)
    if tls_host:
        _step("TLS session", lambda: _tls(tls_host, tls_port))


def _step(name, act):
    began = time.ticks_ms()
    result = error = None
    try:
        result = act()
    except Exception as exc:
        error = f"{type(exc).__name__}: {exc}"
    facts = {"step": name, "ms": time.ticks_diff(time.ticks_ms(), began)}
    if error:
        facts["error"] = error
    if isinstance(result, int):
        facts["status"] = result
    say(_with_memory(facts))
    return result


def _with_memory(facts):
    gc.collect()
    facts["gc_free"], facts["gc_used"] = gc.mem_free(), gc.mem_alloc()
    try:
        import esp32

        heaps = esp32.idf_heap_info(esp32.HEAP_DATA)
    except (ImportError, AttributeError):
        return facts
    facts["idf_free"] = sum([heap[1] for heap in heaps])
    facts["idf_largest"] = max([heap[2] for heap in heaps])
    facts["idf_lowest"] = sum([heap[3] for heap in heaps])
    return facts


def _wlan():
    import network

    return network.WLAN(network.STA_IF)


def _join(wlan, name, passphrase):
    """The last value of WLAN.status()."""
    wlan.disconnect()
    wlan.connect(name, passphrase)
    deadline = time.ticks_add(time.ticks_ms(), _JOIN_MS)
    while not wlan.isconnected() and time.ticks_diff(deadline, time.ticks_ms()) > 0:
        time.sleep_ms(50)
    return wlan.status()


def _modules():
    # A frozen main.py is executed and not imported; the firmware's is firmware.main there.
    try:
        from firmware import main  # noqa: F401
    except ImportError:
        __import__("main")
    for name in ("program", "latchkey.cloud.link"):
        __import__(name)  # what main imports once the radio is there


def _run_thread():
    import _thread

    goes, ends = _thread.allocate_lock(), _thread.allocate_lock()
    goes.acquire()
    ends.acquire()

    def wait():
        goes.acquire()
        ends.release()

    before = _thread.stack_size(_STACK_BYTES)
    try:
        _thread.start_new_thread(wait, ())
        say(_with_memory({"step": "while a thread runs"}))
        goes.release()
        ends.acquire()
    finally:
        _thread.stack_size(before)


def _tls(host, port):
    import socket
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_NONE
    say(_with_memory({"step": "TLS context"}))
    stream = socket.socket()
    try:
        stream.connect(socket.getaddrinfo(host, port)[0][-1])
        secure = context.wrap_socket(stream, server_hostname=host)
        say(_with_memory({"step": "while a TLS session is open"}))
        secure.close()
    finally:
        stream.close()
