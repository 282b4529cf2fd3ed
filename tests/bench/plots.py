"""Plots as SVG, drawn with nothing but text: lines over logarithmic axes, a legend, a title that says what is measured."""
import html
import math

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 24, 48, 56
COLOURS = ("#0b6bcb", "#c4421a", "#2f7d32", "#7b3fa0")


def decades(low, high):
    return [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def number(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def plot(title, x_title, y_title, lines):
    """`lines`: {name: [(x, y), …]}, all above zero. A name that ends in "…" is dashed: a bound, or a target."""
    points = [p for line in lines.values() for p in line]
    xs = decades(min(p[0] for p in points), max(p[0] for p in points))
    ys = decades(min(p[1] for p in points), max(p[1] for p in points))

    def across(x):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(x / xs[0]) / max(1, math.log10(xs[-1] / xs[0]))

    def up(y):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log10(y / ys[0]) / max(1, math.log10(ys[-1] / ys[0]))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           'font-size="13">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']

    def text(x, y, words, anchor="middle", more=""):
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{html.escape(words)}</text>')

    def rule(x1, y1, x2, y2):
        out.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#ddd"/>')

    text(LEFT, 24, title, "start", ' font-size="15" font-weight="bold"')
    for x in xs:
        rule(across(x), TOP, across(x), HEIGHT - BOTTOM)
        text(across(x), HEIGHT - BOTTOM + 18, number(x))
    for y in ys:
        rule(LEFT, up(y), WIDTH - RIGHT, up(y))
        text(LEFT - 8, up(y) + 4, number(y), "end")
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_title)
    middle = (TOP + HEIGHT - BOTTOM) / 2
    text(18, middle, y_title, more=f' transform="rotate(-90 18 {middle})"')
    for i, (name, line) in enumerate(lines.items()):
        colour, dash = COLOURS[i % len(COLOURS)], ' stroke-dasharray="6 4"' if name.endswith("…") else ""
        path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in line)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        out += [f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>' for x, y in line]
        out.append(f'<path d="M{LEFT + 12} {TOP + 14 + 18 * i}h28" stroke="{colour}" stroke-width="2"{dash}/>')
        text(LEFT + 48, TOP + 18 + 18 * i, name.rstrip("…"), "start")
    return "\n".join(out + ["</svg>", ""])
