"""`latchkey board image`, and the parts of it that `latchkey board flash` uses."""

from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools.boards import build, catalog
from latchkey_tools.cli import options, show
from latchkey_tools.image import recipe


def boards(incomplete: str):
    """For completion: the names of the boards."""
    return [name for name in catalog.names() if name.startswith(incomplete)]


BOARD_HELP = "Name of the board; `latchkey board list` shows them."
Board = Annotated[str, typer.Option(metavar="BOARD", help=BOARD_HELP, autocompletion=boards)]
OFFICIAL_HELP = "MicroPython's official image for the chip, a .bin file that you downloaded."
Official = Annotated[Path, typer.Option(metavar="FILE", help=OFFICIAL_HELP)]
Modules = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME.py=PATH", help="Add a module of your own, or replace one of the board's; repeat it."),
]
HeapKb = Annotated[
    int | None,
    typer.Option(min=16, max=256, metavar="KB", help="First heap, instead of the board's; see docs/image.md."),
]
Unlisted = Annotated[bool, typer.Option(help="Accept an image that was never tried; all checks still run.")]


def image(
    board: Board,
    image: Official,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The image to write.")],
    module: Modules = None,
    heap_kb: HeapKb = None,
    unlisted: Unlisted = False,
    as_json: options.AsJson = False,
):
    """Freeze the firmware into an official MicroPython image.

    This needs neither a compiler nor ESP-IDF.

    \b
    Example:
      latchkey board image --board esp32-bulb --image ESP32_GENERIC.bin \\
        --out bulb.bin
    """
    report = make(board, image, out, module, heap_kb, unlisted)
    if as_json:
        show.data(facts(report))
        return
    for text in lines(out, report):
        show.line(text)


def make(board, image, out, module, heap_kb, unlisted):
    """Write the image to ``out``; returns its freezing.Report."""
    data, report = recipe.make(board, image, own_modules(module), heap_kb, unlisted)
    build.write(out, data, image)
    return report


def lines(out, report):
    """Lines about a new image, for a person."""
    yield f"{out}: {report.modules} modules in {report.pages} pages of 64 KB, and {report.code_added} bytes of code"
    yield f"application: {report.size:,} of {report.table.program.size:,} bytes"
    for row in report.table.rows:
        yield f"  {row.name:10} {row.offset:#9x} {row.size:>10,}"
    if report.table.slots < 2:
        yield "one program slot: this device cannot be updated over the network"
    if report.heap:
        yield f"first heap: {report.heap // 1024} KB"
    else:
        yield "the first heap is MicroPython's: no other was given, or its place in this image is not certain"


def facts(report):
    """A Report as plain values."""
    rows = [vars(row) for row in report.table.rows]
    kept = ("modules", "added", "code_added", "pages", "names", "size", "heap")
    return {name: getattr(report, name) for name in kept} | {"partitions": rows}


def own_modules(texts):
    """{name: path} of what --module says, once or several times or (None) not at all."""
    return dict(map(_module_of, texts or ()))


def _module_of(text):
    name, _, path = text.partition("=")
    if not name.endswith(".py") or not Path(path).is_file():
        raise typer.BadParameter(f"--module {text}: give NAME.py=PATH, with a file at PATH")
    return name, Path(path)
