"""A phone with a real browser (headless Chromium), in one network at a time, before a desk board with Wi-Fi.

    with Phone(desk) as phone:
        phone.join("ap"); phone.open("http://192.168.4.1/")

The phone reaches everything through a proxy of the test, which plays the networks: it connects to the device from the
address that a phone has there, or not at all. ``phone.asked()``: what pages asked for since this was called last.
"""

import base64
import contextlib
import http.client
import http.server
import json
import re
import select
import socket
import threading
import time
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from latchkey_tools.dev import npm
from latchkey_tools.sim.broker import find_program

AP_HOST, LOCAL_HOST, LAN_HOST = "192.168.4.1", "latchkey-792b6149.local", "192.168.7.7"
REBOUND_HOST = "rebound.example"  # a stranger's name that leads to the device
# network: (the phone's address there, {name: the device's address there})
NETWORKS = {
    "ap": ("127.4.0.2", {AP_HOST: "127.4.0.1"}),
    "home": ("127.7.0.20", {LOCAL_HOST: "127.7.0.7", LAN_HOST: "127.7.0.7", REBOUND_HOST: "127.7.0.7"}),
    "bench": ("127.0.0.1", {"127.0.0.1": "127.0.0.1"}),
}
_SILENT = ("background-networking", "component-update", "default-apps", "sync", "domain-reliability", "dev-shm-usage")


class Phone:
    """``answer``: callable of (network, method, host, path) that gives (status, headers, body) instead of the device,
    or None to ask the device. ``trusted``: hash of a key (base64 of SHA-256) whose certificates the browser accepts.
    ``sent``: [(method, path, body)] of what pages have sent with a body; ``cuts``: after so many bytes of it the next
    connections break. ``answers``: [(method, host, path, status)] of
    what the device has answered over plain HTTP."""

    def __init__(self, desk, answer=lambda *_: None, trusted=""):
        self.network = None
        self.desk = desk
        self.answer = answer
        self.answers, self.sent, self.cuts = [], [], []
        self._trusted = trusted
        self._proxy = _Server(self)
        threading.Thread(target=self._proxy.serve_forever, args=(0.02,), daemon=True).start()
        self.driver = None

    def __enter__(self):
        try:
            self.driver = self._browser()
        except BaseException:
            self.__exit__()
            raise
        self.show("en-GB", "light")
        return self

    def __exit__(self, *_):
        if self.driver:
            self.driver.quit()
        self._proxy.shutdown()
        self._proxy.server_close()

    def join(self, network):
        """Be in a network of NETWORKS, or None: in none."""
        self.network = network

    def show(self, language, scheme):
        """From the next page on."""
        agent = self.driver.execute_script("return navigator.userAgent")
        self._cdp("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        self._cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url):
        self.driver.get(url)

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def find_all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css):
        """The visible text there; "" where nothing is shown."""
        while True:
            try:
                return " ".join(element.text for element in self.find_all(css))
            except StaleElementReferenceException:
                pass  # The page drew itself anew between finding and reading.

    def press(self, css):
        self.run("arguments[0].click()", self.find(css))

    def type(self, css, text):
        self.run("arguments[0].value = arguments[1]", self.find(css), text)

    def choose(self, css, value):
        """As a finger moves a control to ``value`` and releases it."""
        script = "const one = arguments[0]; one.value = arguments[1]; one.dispatchEvent(new Event('change'))"
        self.run(script, self.find(css), value)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, look, wanted=True, within_s=40):
        """Wait until ``look()`` gives ``wanted``."""
        deadline = time.monotonic() + within_s
        while (seen := look()) != wanted:
            assert time.monotonic() < deadline, (seen, self.text("body"), self.desk.log_text()[-1500:])
            time.sleep(0.1)

    def reads(self, css, part, within_s=40):
        """Wait until a person reads ``part`` there."""
        self.until(lambda: part in self.text(css), within_s=within_s)

    def complaints(self):
        """The console's messages, without connections that tests broke on purpose or that a code refused."""
        fine = ("net::ERR_", "Failed to load resource: the server responded")
        said = [line["message"] for line in self.driver.get_log("browser")]
        return [text for text in said if not any(part in text for part in fine)]

    def asked(self):
        """[(method, URL)] of all that pages asked for, pages themselves too."""
        events = [json.loads(line["message"])["message"] for line in self.driver.get_log("performance")]
        sent = [event["params"]["request"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [(one["method"], one["url"]) for one in sent if not one["url"].startswith("data:")]

    def violations(self):
        """The findings of axe-core, as texts."""
        self._cdp("Page.setBypassCSP", enabled=True)  # for the checker alone; the page was loaded without
        found = self.run((npm.package("axe-core") / "axe.min.js").read_text() + "; return typeof axe")
        assert found == "object"
        result = self.driver.execute_async_script("const done = arguments[0]; axe.run().then(done)")
        return [
            f"{one['id']}: {node['html'][:120]}: {node['failureSummary']}"
            for one in result["violations"]
            for node in one["nodes"]
        ]

    def untranslated(self):
        """Keys that are shown instead of their words."""
        return [text for text in self.text("body").split() if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)]

    def picture(self, path, scale=1, most_px=10000):
        """A screenshot at a phone's width of the whole page, or of its first ``most_px`` of height."""
        size = self._cdp("Page.getLayoutMetrics")["cssContentSize"]
        height = min(size["height"], most_px)
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": scale}
        shot = self._cdp("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def _browser(self):
        options = Options()
        options.binary_location = find_program("chromium")
        options.add_argument("--headless=new")
        options.add_argument("--no-sandbox")  # CI runs as root
        options.add_argument(f"--proxy-server=http://127.0.0.1:{self._proxy.server_address[1]}")
        options.add_argument("--proxy-bypass-list=<-loopback>")
        options.add_argument(f"--ignore-certificate-errors-spki-list={self._trusted}")
        for what in _SILENT:
            options.add_argument(f"--disable-{what}")
        metrics = {"width": 390, "height": 844, "pixelRatio": 2.0, "touch": True}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        return webdriver.Chrome(options, Service(find_program("chromedriver")))


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, phone):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.phone = phone

    def handle_error(self, request, client_address):
        """A browser may leave early."""


def _tunnel(browser, device, open_still):
    """Pass bytes between two sockets until one ends."""
    other = {device: browser, browser: device}
    while open_still():
        for end in select.select(list(other), [], [], 0.2)[0]:
            part = end.recv(16384)
            if not part:
                return
            other[end].sendall(part)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self):
        self.close_connection = True
        url = urlsplit(self.path)
        path = (url.path or "/") + ("?" + url.query if url.query else "")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        phone = self.server.phone
        source, names = NETWORKS.get(phone.network, (None, {}))
        address = names.get(url.netloc)
        if body and address:  # The browser has hosts of its own.
            phone.sent.append((self.command, path, body))
        own = phone.answer(phone.network, self.command, url.netloc, path)
        if own:
            return self._give(*own)
        with contextlib.suppress(OSError, http.client.HTTPException):
            if address:
                self._forward(source, address, url.netloc, path, body)

    def _give(self, status, headers, body):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, source, address, name, path, body):
        """To the device, which knows itself by the addresses of the desk."""
        host = address if name[0].isdigit() else name
        headers = {key: value.replace(name, host) for key, value in self.headers.items()}
        headers |= {"Host": host, "Connection": "close"}
        headers.pop("Proxy-Connection", None)
        phone, network = self.server.phone, self.server.phone.network
        upstream = http.client.HTTPConnection(address, phone.desk.port, 30, (source, 0))
        try:
            if body and phone.cuts:
                upstream.request(self.command, path, body[: phone.cuts.pop(0)], headers)
                # Half an answer: where none came, the browser sends the request again by itself.
                return self._give(200, {"Content-Length": "99"}, b"{")
            upstream.request(self.command, path, body or None, headers)
            response = upstream.getresponse()
            phone.answers.append((self.command, name, path, response.status))
            self.send_response_only(response.status)
            for key, value in response.getheaders():
                self.send_header(key, value.replace(f"//{host}", f"//{name}"))
            self.end_headers()
            while phone.network == network and (part := response.read1()):
                self.wfile.write(part)
                self.wfile.flush()
        finally:
            upstream.close()

    def do_CONNECT(self):
        """A tunnel for TLS to the device, as long as the phone is in its network."""
        self.close_connection = True
        name, _, port = self.path.partition(":")
        phone, network = self.server.phone, self.server.phone.network
        source, names = NETWORKS.get(network, (None, {}))
        if name not in names:
            return
        place = names[name], int(port)
        with contextlib.suppress(OSError), socket.create_connection(place, 30, (source, 0)) as device:
            self.send_response_only(200)
            self.end_headers()
            _tunnel(self.connection, device, lambda: phone.network == network)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_OPTIONS = _serve

    def log_message(self, *_):
        """Nothing to standard error."""
