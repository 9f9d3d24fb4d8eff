"""The files that a board runs from its file system: all that its manifest names, compiled."""

from pathlib import Path

from latchkey_tools.boards import build, catalog, manifest, page, umqtt

_MAIN = "firmware/main.py"
_PAGE = "latchkey/api/page_gz.py"


def release(board, arch, lines=False):
    """Name on the device to path here of all that ``board`` (catalog.Board) runs, compiled for ``arch``. ``lines``: as
    build.compile_for_board takes it."""
    simple = umqtt.fetch() / "umqtt" / "simple.py"
    compiled = build.compile_for_board([simple], arch, lines)
    own = build.BUILD / "board" / f"{arch}-{board.name}"
    found = {name: _compiled(path, name, arch, compiled, own) for name, path in _sources(board, simple).items()}
    return {Path(name).with_suffix(path.suffix).as_posix(): path for name, path in found.items()}


def _sources(board, simple):
    found = catalog.frozen(board.name)
    files = dict(found.files)
    # An image starts its own main.py; the starter of a flash imports the firmware's.
    if _MAIN not in files:
        raise manifest.ManifestError(f"the manifest.py of {board.name} does not include ../common/manifest.py; add it")
    files["main.py"] = files.pop(_MAIN)
    # Bytes of a module lie in RAM, but in an image.
    module = files.pop(_PAGE, None)
    if module:
        files[_PAGE.replace("page_gz.py", page.FILE)] = module.with_name(page.FILE)
    # Every official image has the other required packages.
    return files | ({"umqtt/simple.py": simple} if "umqtt.simple" in found.required else {})


def _compiled(source, name, arch, compiled, own):
    if source.suffix != ".py":
        return source
    if source.is_relative_to(build.FIRMWARE):
        return compiled / source.relative_to(build.FIRMWARE).with_suffix(".mpy")
    target = (own / name).with_suffix(".mpy")
    build.compile_file(source, target, arch, name)
    return target
