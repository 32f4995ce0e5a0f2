"""Draws the comparison as an SVG: one panel for each language and case, each with a scale of its own."""

from __future__ import annotations

from xml.sax.saxutils import escape

PANELS = [
    ("ack-64", "publish + ack"),
    ("receive", "receive"),
    ("reply-64", "request + reply"),
    ("latency", "latency of an ack"),
]
THEMES = {
    "light": {"text": "#1f2328", "dim": "#59636e", "ours": "#0969da", "other": "#afb8c1", "line": "#d1d9e0"},
    "dark": {"text": "#f0f6fc", "dim": "#9198a1", "ours": "#4493f8", "other": "#545d68", "line": "#3d444d"},
}
LEFT, PANEL, GAP, BAR, ROW, TOP = 168, 176, 18, 12, 21, 62
FONT = "font-family=\"-apple-system,'Segoe UI',Helvetica,Arial,sans-serif\""


def short(figure: float, case: str) -> str:
    if case == "latency":
        return f"{figure:,.0f} µs"
    return (
        f"{figure / 1e6:.2f} M/s"
        if figure >= 1e6
        else f"{figure / 1e3:,.0f} k/s"
        if figure >= 1e4
        else f"{figure / 1e3:,.1f} k/s"
    )


def draw(summary: dict, clients: dict, theme: str) -> str:
    colour = THEMES[theme]
    parts: list[str] = []

    def text(
        x: float, y: float, what: str, size: int = 12, fill: str = "text", anchor: str = "start", weight: str = "400"
    ) -> None:
        parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour[fill]}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(what)}</text>'
        )

    width = LEFT + len(PANELS) * (PANEL + GAP)
    for column, (case, title) in enumerate(PANELS):
        x = LEFT + column * (PANEL + GAP)
        text(x, 24, title, 13, weight="600")
        text(x, 41, "microseconds, less is better" if case == "latency" else "a second, more is better", 11, "dim")
    y = TOP
    for language in dict.fromkeys(language for language, _, _ in clients.values()):
        names = [name for name, (of, _, _) in clients.items() if of == language]
        parts.append(f'<line x1="0" x2="{width}" y1="{y - 10}" y2="{y - 10}" stroke="{colour["line"]}"/>')
        text(0, y + 10, language, 13, weight="600")
        y += 20
        for index, name in enumerate(names):
            _, label, ours = clients[name]
            line = y + index * ROW
            text(10, line + 10, label, 12, "text" if ours else "dim", weight="600" if ours else "400")
            for column, (case, _) in enumerate(PANELS):
                most = max(summary["cases"][case][each]["median"] for each in names)
                figure = summary["cases"][case][name]["median"]
                x = LEFT + column * (PANEL + GAP)
                length = max(2.0, (PANEL - 62) * figure / most)
                parts.append(
                    f'<rect x="{x}" y="{line}" width="{length:.1f}" height="{BAR}" rx="2" fill="{colour["ours" if ours else "other"]}"/>'
                )
                text(
                    x + length + 5,
                    line + 10,
                    short(figure, case),
                    11,
                    "text" if ours else "dim",
                    weight="600" if ours else "400",
                )
        y += len(names) * ROW + 16
    text(
        0,
        y + 4,
        f"Medians of {summary['rounds']} rounds, 128 byte payloads, client and gateway on a core each. Bars are to scale within a language.",
        11,
        "dim",
    )
    height = y + 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" {FONT} role="img" '
        f'aria-label="This SDK beside the published clients and bare WebSocket libraries">\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
