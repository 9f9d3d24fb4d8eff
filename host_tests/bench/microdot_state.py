"""The yardstick: state behind microdot's token auth; `micropython microdot_state.py PORT FILE`, FILE with the token."""

import asyncio
import sys

from microdot import Microdot
from microdot.auth import TokenAuth

app = Microdot()
auth = TokenAuth()
with open(sys.argv[2]) as file:
    good = file.read()
state = {"on": False, "brightness_pct": 100, "rgb": [255, 255, 255]}


@auth.authenticate
async def check(_request, token):
    return "Marie Curie" if token == good else None


@app.get("/v1/info")
async def info(_request):
    return {"product": "bulb", "model": "rgb", "state": "ready"}


@app.get("/v1/state")
@auth
async def read(_request):
    return state


@app.patch("/v1/state")
@auth
async def control(request):
    state.update(request.json)
    return state


asyncio.run(app.start_server(host="127.0.0.1", port=int(sys.argv[1])))
