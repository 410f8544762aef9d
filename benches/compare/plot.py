"""Draws a session as SVG, by hand: horizontal bars for speed, memory and size."""

from html import escape

WIDTH, LEFT, RIGHT = 920, 190, 700
ROW, BAR, GAP, TOP = 28, 18, 62, 92
COLOURS = {
    "trailmill": "#0b6e6e",
    "trailmill-typed": "#3aa6a0",
    "clickhouse": "#c9a227",
    "duckdb": "#d9772b",
    "duckdb_typed": "#e3a06f",
    "polars": "#5b7db8",
    "spark": "#a35d7a",
}
INK, SOFT, LINE = "#1d2329", "#5a646e", "#d5dade"
FONT = "font-family=\"-apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif\""


def write(session, path):
    results = [result for result in session.results if result.has_times]
    path.write_text(draw(session, results))


def draw(session, results):
    panels = [
        ("MB of JSON a second", "more is better", speeds(session, results)),
        ("Peak memory, MiB", "less is better", medians(results, "peak_bytes", 1 << 20)),
        ("Parquet written, MB", "less is better", medians(results, "bytes_written", 1e6)),
    ]
    height = TOP + len(panels) * (GAP + ROW * len(results))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" {FONT}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(24, 36, "CloudTrail objects to partitioned Parquet", 20, INK, "bold"),
        text(24, 60, f"{session.size_in_words()}; lines: shortest and longest", 13, SOFT),
    ]
    y = TOP
    for title, hint, values in panels:
        parts += panel(y, title, hint, results, values)
        y += GAP + ROW * len(results)
    return "\n".join([*parts, "</svg>"]) + "\n"


def speeds(session, results):
    """(median, lowest, highest) of each tool."""
    return [session.speeds(result) for result in results]


def medians(results, name, unit):
    found = []
    for result in results:
        values = result.values(name)
        found.append((result.median(name) / unit, min(values) / unit, max(values) / unit))
    return found


def panel(y, title, hint, results, values):
    scale = (RIGHT - LEFT) / max((high for _, _, high in values), default=1)
    bottom = y + 26 + ROW * len(results)
    parts = [
        text(24, y + 12, title, 15, INK, "bold"),
        text(WIDTH - 24, y + 12, hint, 12, SOFT, anchor="end"),
        line(LEFT, y + 22, LEFT, bottom, LINE, 1),
    ]
    for row, (result, (middle, low, high)) in enumerate(zip(results, values, strict=True)):
        top = y + 26 + row * ROW
        centre = top + BAR / 2
        colour = COLOURS.get(result.tool.name, SOFT)
        weight = "bold" if result.tool.name.startswith("trailmill") else "normal"
        parts.append(text(LEFT - 10, centre + 4.5, result.tool.label, 13, INK, weight, "end"))
        width = max(middle * scale, 1)
        parts.append(f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
        parts += whisker(LEFT + low * scale, LEFT + high * scale, centre)
        parts.append(text(LEFT + high * scale + 10, centre + 4.5, number(middle), 13, INK, weight))
    return parts


def whisker(low, high, y):
    """The span of all rounds; nothing where it would be a dot."""
    if high - low < 2:
        return []
    ends = [line(x, y - 4, x, y + 4, INK, 1.2) for x in (low, high)]
    return [line(low, y, high, y, INK, 1.2), *ends]


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def text(x, y, words, size, colour, weight="normal", anchor="start"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def line(x1, y1, x2, y2, colour, width):
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )
