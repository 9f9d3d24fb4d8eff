"""`latchkey board image`, and what `latchkey board flash` has of it."""

from pathlib import Path
from typing import Annotated

import typer

from latchkey_tools.boards import build
from latchkey_tools.cli import show
from latchkey_tools.image import recipe

Official = Annotated[Path, typer.Option(help="MicroPython's official image for the chip, a .bin that you downloaded.")]
Modules = Annotated[
    list[str] | None, typer.Option(help="NAME.py=PATH: a module of your own, or one instead of the board's.")
]
HeapKb = Annotated[
    int | None, typer.Option(min=16, max=256, help="First heap in KB, instead of the board's; see docs/image.md.")
]
Unlisted = Annotated[bool, typer.Option(help="Take an image that was never tried; all checks still hold.")]


def image(
    board: Annotated[str, typer.Option(help="A folder of boards/.")],
    image: Official,
    out: Annotated[Path, typer.Option(help="The image to write.")],
    module: Modules = None,
    heap_kb: HeapKb = None,
    unlisted: Unlisted = False,
    as_json: Annotated[bool, typer.Option("--json", help="Data for programs.")] = False,
):
    """Freeze a board's firmware into an official image: no compiler and no ESP-IDF is needed."""
    report = make(board, image, out, module, heap_kb, unlisted)
    if as_json:
        show.data(facts(report))
        return
    for text in lines(out, report):
        show.line(text)


def make(board, image, out, module, heap_kb, unlisted):
    """Write the image to ``out``; returns its freezing.Report."""
    own = dict(map(module_of, module or ()))
    data, report = recipe.make(board, image, own, heap_kb, unlisted)
    build.write(out, data)
    return report


def lines(out, report):
    """What a person reads of a new image."""
    yield f"{out}: {report.modules} modules in {report.pages} pages of 64 KB, and {report.code_added} bytes of code"
    yield f"application: {report.size:,} of {report.table.program.size:,} bytes"
    for row in report.table.rows:
        yield f"  {row.name:10} {row.offset:#9x} {row.size:>10,}"
    if report.table.slots < 2:
        yield "one program slot: this device cannot be updated over the network"
    if report.heap:
        yield f"first heap: {report.heap // 1024} KB"
    else:
        yield "the first heap is MicroPython's: no other was asked for, or its place in this image cannot be told"


def facts(report):
    """A Report as plain values."""
    rows = [vars(row) for row in report.table.rows]
    kept = ("modules", "added", "code_added", "pages", "names", "size", "heap")
    return {name: getattr(report, name) for name in kept} | {"partitions": rows}


def module_of(text):
    """(name, path) of what --module says."""
    name, _, path = text.partition("=")
    if not name.endswith(".py") or not Path(path).is_file():
        raise typer.BadParameter(f"--module {text}: give NAME.py=PATH, with a file at PATH")
    return name, Path(path)
