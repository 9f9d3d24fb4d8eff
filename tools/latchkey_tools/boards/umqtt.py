"""Fetch micropython-umqtt.simple, which pip refuses: its archive on PyPI has no build file.

Version and SHA-256 are in constraints.txt.

    python -m latchkey_tools.boards.umqtt            fetch into build/umqtt (nothing is done if it is there)
"""

import hashlib
import io
import re
import sys
import tarfile

from latchkey_tools.boards.build import BUILD, ROOT, BuildError, write

NAME = "micropython-umqtt.simple"


def pinned():
    """(version, sha256) from constraints.txt."""
    pattern = rf"^# {re.escape(NAME)}==(\S+) sha256:([0-9a-f]{{64}})$"
    line = re.search(pattern, (ROOT / "constraints.txt").read_text(), re.M)
    if not line:
        raise BuildError(f"constraints.txt does not pin {NAME}")
    return line.groups()


def download(version, sha256):
    """The archive's bytes, checked against ``sha256``."""
    # Here, since its import takes a second and is needed once in the life of a checkout.
    from pypi_simple import PyPISimple

    with PyPISimple() as client:
        packages = client.get_project_page(NAME).packages
        match = [p for p in packages if p.version == version and p.filename.endswith(".tar.gz")]
        if not match:
            raise BuildError(f"{NAME} {version} is not on the package index")
        response = client.s.get(match[0].url)
        response.raise_for_status()
    if hashlib.sha256(response.content).hexdigest() != sha256:
        raise BuildError(f"{NAME} {version}: wrong checksum")
    return response.content


def fetch():
    """Folder that holds ``umqtt/simple.py``, fetched if it is not there yet."""
    version, sha256 = pinned()
    folder = BUILD / f"umqtt-{version}"
    target = folder / "umqtt" / "simple.py"
    if not target.exists():
        with tarfile.open(fileobj=io.BytesIO(download(version, sha256))) as archive:
            source = archive.extractfile(f"{NAME}-{version}/umqtt/simple.py").read()
        write(target, source)
    return folder


def main():
    """Fetch, or say in one line why not."""
    try:
        print(fetch())
    except (BuildError, OSError) as problem:
        # requests' errors are OSErrors.
        print(f"umqtt.simple was not fetched: {problem}", file=sys.stderr)
        print("A network is needed once; for a certificate of your own set REQUESTS_CA_BUNDLE.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
