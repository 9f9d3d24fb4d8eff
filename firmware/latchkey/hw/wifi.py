"""Wi-Fi of a chip as a station: joins, joins again with a growing pause, says why not. No access point.

The names are those of ``DeskRadio``. Wrong passphrases and missing networks are told apart where the chip does.
Constants of ``WLAN.status()`` are those of MicroPython's ESP32 port; others read ``no_wifi``.
"""

import os

import network

from .. import limits
from ..backoff import Backoff

_REASONS = {201: "wifi_not_found", 202: "wifi_wrong_passphrase", 210: "wifi_not_found", 211: "wifi_not_found"}


class Wifi:
    """``clock``: see hw/clock.py."""

    wants_network = True

    def __init__(self, clock, hostname=None):
        if hostname:
            network.hostname(hostname)
        self._clock = clock
        self._wlan = network.WLAN(network.STA_IF)
        self._network = None
        jitter = limits.CLOUD_JITTER_PERCENT
        self._backoff = Backoff(limits.WIFI_FIRST_PAUSE_MS, limits.WIFI_CEILING_MS, jitter, _random_byte)
        self._tried_ms = clock.ticks_ms()
        self._pause_ms = 0

    def use(self, ssid, passphrase):
        """The network to join from now on; None for none."""
        self._network = (ssid, passphrase) if ssid else None
        self._wlan.active(self._network is not None)
        self._backoff.reset()
        self._pause_ms = 0

    def up(self):
        """Whether we have joined and have an address."""
        return self._wlan.isconnected()

    def join(self):
        """Try again if the pause is over; returns at once."""
        if self._network is None:
            return
        # Negative: joined so long ago that the tick counter turned over.
        if 0 <= self._clock.ticks_diff_ms(self._clock.ticks_ms(), self._tried_ms) < self._pause_ms:
            return
        self._tried_ms = self._clock.ticks_ms()
        self._pause_ms = self._backoff.next_ms()
        try:
            self._wlan.disconnect()
            self._wlan.connect(*self._network)
        except OSError:
            # The driver is busy with the attempt before; the next pause is longer.
            pass

    def why(self):
        """The reason why ``up()`` is False."""
        if self._network is None:
            return "wifi_not_set"
        return _REASONS.get(self._wlan.status(), "no_wifi")

    def ntp_hosts(self):
        """Time servers to try first: the gateway, which often is one. (MicroPython does not show DHCP's option 42.)"""
        return (self._wlan.ifconfig()[2],)


def _random_byte():
    return os.urandom(1)[0]
