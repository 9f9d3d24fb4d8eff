"""The simulator's process: API on loopback, publisher to the broker, state and bearer in a folder.

    python -m latchkey_tools.sim --folder F --slug S --broker mqtts://127.0.0.1:8883 --ca .. --cert .. --key ..

The first line on standard output is a JSON object with the address of the API and the file that holds the bearer.
"""

import argparse
import asyncio
import json
import secrets
import socket
import sys
from pathlib import Path

from latchkey_tools import filelock, folders, uuids
from latchkey_tools.desk import children
from latchkey_tools.sim import pki
from latchkey_tools.sim.cloud import Cloud, CloudError
from latchkey_tools.sim.publisher import Publisher, Refused, parse_broker

STATE_NAME = "cloud.json"
BEARER_NAME = "bearer"
ADDRESS_NAME = "simulator.json"
EXIT_REFUSED = 3


def bearer(folder):
    """The folder's bearer, made at random the first time; mode 0600."""
    path = Path(folder) / BEARER_NAME
    if not path.exists():
        pki.write_private(path, secrets.token_urlsafe(32).encode())
    return path.read_text()


def sole_user(folder):
    """A context in which no other simulator has ``folder``, which is made; two would undo each other's changes."""
    folder = folders.make(folder)
    refusal = CloudError(f"a simulator runs over {folder} already; stop it, or give another --folder")
    return filelock.user(folder / "lock", refusal)


async def serve(
    folder, slug, targets, systems=(), issuer=None, port=0, settings=None, on_ready=print, say=None, authority=None
):
    """Serve until SIGINT, SIGTERM, the end of standard input where that is a pipe, or Refused (raised).

    In ``sole_user`` of ``folder``. ``say`` gets texts about the connection to the broker. ``authority``: the folder of
    the CA that signs certificates, as pki.make left it; by default ``pki`` in ``folder``.
    """
    folder = Path(folder)
    # Here, since every start of the command, completion's too, would wait for GraphQL otherwise.
    from latchkey_tools.sim import api

    cloud = Cloud(folder / STATE_NAME, slug, issuer, authority=pki.authority(authority or folder / "pki"))
    cloud.set(**(settings or {}))
    for system_uuid in systems:
        cloud.add_system(system_uuid)
    publisher = Publisher(cloud, targets, say or (lambda text: None))
    server, listening = _http_server(api.make_app(cloud, publisher, bearer(folder)), port)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/graphql"
    address = {"url": url, "bearer_file": str(folder / BEARER_NAME)}
    try:
        (folder / ADDRESS_NAME).write_text(json.dumps(address))
        on_ready(json.dumps(address))
        await _until_one_ends(server, listening, publisher, cloud)
    finally:
        (folder / ADDRESS_NAME).unlink(missing_ok=True)


async def _until_one_ends(server, listening, publisher, cloud):
    http = asyncio.create_task(server.serve(sockets=[listening]))
    side = [asyncio.create_task(publisher.run()), asyncio.create_task(_drop_expired(cloud, publisher))]
    try:
        await asyncio.wait([http, *side], return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        for task in side:
            task.cancel()
        results = await asyncio.gather(http, *side, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _drop_expired(cloud, publisher):
    while True:
        await asyncio.sleep(0.5)
        for system_uuid in cloud.drop_expired():
            publisher.publish_list(system_uuid)


def _http_server(app, port):
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(64)
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or error
        raise CloudError(f"port {port} cannot be used ({why}); give another --port") from None
    # Here, as sim.api in serve.
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    return uvicorn.Server(config), listening


async def _serve_as_child(args):
    target = parse_broker(args.broker, args.ca, args.cert, args.key)
    settings = {"algorithm": args.algorithm} if args.algorithm else {}
    main_task = asyncio.current_task()
    children.stop_on_signal_or_orphaned(asyncio.get_running_loop(), main_task.cancel)
    what = (args.folder, args.slug, target, args.system, args.issuer, args.port, settings)
    with sole_user(args.folder):
        await serve(*what, lambda line: print(line, flush=True), authority=args.authority)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("folder", "slug", "broker"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("ca", "cert", "key", "issuer", "algorithm", "authority"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--system", action="append", default=[], type=uuids.canonical)
    parser.add_argument("--port", type=int, default=0)
    try:
        asyncio.run(_serve_as_child(parser.parse_args()))
    except (Refused, CloudError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_REFUSED)
    except asyncio.CancelledError:
        pass
