"""Labels to print and glue onto devices: one QR code joins the access point, one opens the page; the same as text.

    write(labels, Path("labels"))        labels.svg and labels.png, mode 0600: they hold passphrases

A label is a dict as production makes it. A sheet of A4 has three by eight labels of 70 by 37 mm; further sheets are
labels-2.svg and so on. One label alone is as large as itself.
"""

import io
from xml.sax.saxutils import escape

import segno

from latchkey_tools.sim.pki import write_private

PAGE = "http://192.168.4.1/"
WIDTH_MM, HEIGHT_MM = 70, 37
_COLUMNS, _ROWS = 3, 8
_A4_MM = (210, 297)
_CODE_MM = 20
_DOTS_PER_MM = 12  # 305 dpi
_FONT_MM = 2.5


def wifi_code(label):
    """The text of a QR code with which a phone joins a network. Special characters are escaped by a backslash."""
    quoted = [_quoted(label[name]) for name in ("access_point", "ap_passphrase")]
    return "WIFI:T:WPA;S:{};P:{};;".format(*quoted)


def write(labels, path):
    """Write the sheets of ``labels`` as SVG and PNG beside each other; returns their paths. ``path`` has no suffix."""
    sheets = [labels[at : at + _COLUMNS * _ROWS] for at in range(0, len(labels), _COLUMNS * _ROWS)]
    size = (WIDTH_MM, HEIGHT_MM) if len(labels) == 1 else _A4_MM
    written = []
    for number, sheet in enumerate(sheets, 1):
        name = path.name if number == 1 else f"{path.name}-{number}"
        for suffix, draw in ((".svg", _svg), (".png", _png)):
            written.append(path.with_name(name + suffix))
            write_private(written[-1], draw(_parts(sheet), size))
    return written


def _quoted(text):
    return "".join("\\" + c if c in '\\;,:"' else c for c in text)


def _parts(labels):
    """The parts of the drawing, in mm: (x, y, None, width) are squares, (x, y, text, font size) are texts."""
    for index, label in enumerate(labels):
        left, top = index % _COLUMNS * WIDTH_MM, index // _COLUMNS * HEIGHT_MM
        for x, y, text, size in _label(label):
            yield left + x, top + y, text, size


def _label(label):
    yield from _code(2, 2, wifi_code(label))
    yield from _code(37, 2, PAGE)
    yield 23, 6, "1. Wi-Fi", _FONT_MM
    yield 58, 6, "2. Page", _FONT_MM
    yield 3, 24, f"{label['access_point']}   {label['ap_passphrase']}", _FONT_MM * 1.2
    yield 3, 28, f"{PAGE}   {label['host']}", _FONT_MM
    yield 3, 31.2, label["system_uuid"], _FONT_MM
    yield 3, 34, label["name"][:40], _FONT_MM * 0.9


def _code(left, top, content):
    rows = [bytes(row) for row in segno.make(content, error="m", micro=False).matrix_iter(border=2)]
    module = _CODE_MM / len(rows)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                yield left + x * module, top + y * module, None, module


def _svg(parts, size):
    width, height = size
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{height}mm"']
    out[0] += f' viewBox="0 0 {width} {height}"><rect width="{width}" height="{height}" fill="#fff"/>'
    squares = []
    for x, y, text, measure in parts:
        if text is None:
            squares.append(f"M{x:.3f} {y:.3f}h{measure:.3f}v{measure:.3f}h-{measure:.3f}z")
        else:
            place = f'x="{x}" y="{y + measure:.2f}" font-size="{measure:.2f}"'
            out.append(f'<text {place} font-family="sans-serif" xml:space="preserve">{escape(text)}</text>')
    out.append(f'<path d="{"".join(squares)}" shape-rendering="crispEdges"/></svg>')
    return "\n".join(out).encode()


def _png(parts, size):
    # Here, since every start of the command would wait for it otherwise.
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("1", tuple(side * _DOTS_PER_MM for side in size), 1)
    drawing = ImageDraw.Draw(image)
    for x, y, text, measure in parts:
        left, top = round(x * _DOTS_PER_MM), round(y * _DOTS_PER_MM)
        if text is None:
            right, bottom = (round((at + measure) * _DOTS_PER_MM) - 1 for at in (x, y))
            drawing.rectangle((left, top, right, bottom), fill=0)
        else:
            drawing.text((left, top), text, fill=0, font=ImageFont.load_default(round(measure * _DOTS_PER_MM)))
    out = io.BytesIO()
    image.save(out, "PNG", dpi=(_DOTS_PER_MM * 25.4,) * 2)
    return out.getvalue()
