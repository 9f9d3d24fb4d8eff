"""umqtt.simple as its later releases (1.8.0) behave where our transport notices: on top of the pinned 1.3.4.

They import ``socket`` by its own name, close the old socket before they connect, set a time limit on the new one, and
take an SSLContext. Runs on CPython alone.
"""

from pathlib import Path

from latchkey_tools.boards import umqtt

_text = (umqtt.fetch() / "umqtt" / "simple.py").read_text()
for _old in ("usocket as socket", "ustruct as struct"):
    _text = _text.replace(_old, _old.split()[-1])
_text = _text.replace("from ubinascii", "from binascii")
_path = Path(umqtt.fetch()) / "umqtt" / "simple.py"
exec(compile(_text, str(_path), "exec"), globals())
_Pinned = globals()["MQTTClient"]


class MQTTClient(_Pinned):
    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None, ssl_params=None):
        super().__init__(client_id, server, port, user, password, keepalive, ssl, ssl_params)

    def connect(self, clean_session=True, timeout=None):
        if self.sock:
            self.sock.close()
        globals()["socket"].socket().settimeout(timeout)
        return super().connect(clean_session)
