"""Runs on the unix port: connections are closed while the heap is locked and any allocation fails."""

import asyncio
import socket

import micropython
from deskclock import DeskClock
from fake_device import FakeBoard

from latchkey.net import connection, server


class Api:
    device = None


async def waiting():
    await asyncio.sleep(60)


now_ms = DeskClock().now_ms


async def main():
    made = server.Server(Api(), FakeBoard(now_ms), None)
    places = []
    for _ in range(3):
        place = connection.Connection(made, socket.socket(), None, "127.0.0.1", "lan")
        place.task = asyncio.create_task(waiting())
        made._open.append(place)
        places.append(place)
    await asyncio.sleep(0)
    places[0].reader = made._readers.pop()
    places[2].deadline = now_ms()
    late = made._cancel_late
    micropython.heap_lock()
    made._turn_away(places[0])
    made.let_go(places[1])
    late()
    micropython.heap_unlock()
    print(len(made._open), len(made._readers), made.turned_away, places[2].deadline)
    for place in places[:2]:
        try:
            place.socket.listen(1)
        except OSError:
            print("closed")


asyncio.run(main())
