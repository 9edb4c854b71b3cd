#!/usr/bin/env python3
"""page.py RESULTS.tsv PAGE.html [PICTURE.svg]: what the benchmark measured as one page without anything beside it: plots, then all
figures. The picture is the first plots of it.

A plot is a row of PLOTS: which tables, where their x is, which metric. What was not measured is left out.
"""
import html
import math
import re
import sys
from collections import OrderedDict

COLOURS = {"ours": "#0b6e4f", "postfix": "#c8553d", "opensmtpd": "#3a6ea5", "exim4": "#8e6c8a", "dma": "#a3791f", "nullmailer": "#6b6b6b"}
NAMES = {"ours": "smarthost", "postfix": "Postfix", "opensmtpd": "OpenSMTPD", "exim4": "Exim"}
DASHES = ("", "6 3", "2 3")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 280, 58, 12, 44, 42
LATENCY = (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))

# title, unit of x, unit of y, tables by x, metrics with their names, factor
PLOTS = [
    ("Messages delivered a second", "sessions", "messages a second", r"smarthost (\d+) sessions$", [("deliver_per_s", "")], 1),
    ("CPU of a message", "sessions", "ms", r"smarthost (\d+) sessions$", [("cpu_ms_per_msg", "")], 1),
    ("Until the 250, under a fixed offered load", "messages offered a second", "ms", r"smarthost, (\d+) a second offered$",
     [(f"accept_{m}_ms", name) for m, name in LATENCY], 1),
    ("Until the next hop has it, under a fixed offered load", "messages offered a second", "ms", r"smarthost, (\d+) a second offered$",
     [(f"deliver_{m}_ms", name) for m, name in LATENCY], 1),
    ("Peak memory, all processes", "sessions", "MiB", r"smarthost (\d+) sessions$", [("peak_rss_kib", "")], 1 / 1024),
    *((f"Accepted a second while a flush of the disk takes {ms} ms", "sessions", "messages a second", rf"smarthost, a flush takes {ms} ms, (\d+) sessions$",
       [("accept_per_s", "")], 1) for ms in (1, 5, 20)),
    ("Accepted a second while the queue grows", "messages queued", "messages a second", "fifths", [], 1),
]
# title, unit, metric, tables with their names
BARS = [
    ("Of a thousand destinations 300 are dead: delivered a second", "messages a second", "deliver_per_s",
     [("smarthost 1000 destinations, alone", "700 that live"), ("smarthost 1000 destinations, with 300 dead ones behind", "the same, 300 dead wait"),
      ("smarthost 1000 destinations, of which 300 are dead", "all 1000 in turn")]),
    ("Larger messages, 10 sessions: CPU of a message", "ms", "cpu_ms_per_msg",
     [("smarthost 10 sessions", "4 KiB"), ("smarthost 10 sessions, 100 KiB", "100 KiB"), ("smarthost 10 sessions, 5 MiB", "5 MiB")]),
    ("A TLS connection a message: CPU of a message", "ms", "cpu_ms_per_msg",
     [(f"smarthost 20 sessions over TLS, a connection a message {way}, {how}", f"{way}, {how}") for way in ("in", "out") for how in ("full", "resumed")]),
]


def read(path):
    tables = OrderedDict()
    for line in open(path):
        table, peer, metric, value = line.rstrip("\n").split("\t")
        tables.setdefault(table, OrderedDict()).setdefault(metric, OrderedDict())[peer] = value
    return tables


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def points(tables, where, metric, factor):
    """peer → [(x, y)]"""
    found = OrderedDict()
    for table, metrics in tables.items():
        at = re.fullmatch(where, table)
        for peer, value in metrics.get(metric, {}).items() if at else ():
            if number(value):
                found.setdefault(peer, []).append((float(at[1]), number(value) * factor))
    return {peer: sorted(all_) for peer, all_ in found.items()}


def fifths(tables):
    found = OrderedDict()
    for metrics in tables.values():
        for n in range(1, 6):
            for peer, value in metrics.get(f"fifth{n}_per_s", {}).items():
                count = number(metrics.get("accepted", {}).get(peer))
                if number(value) and count:
                    found.setdefault(peer, []).append((count * n / 5, number(value)))
    return found


def shown(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def ticks(low, high):
    """Round numbers of a logarithmic axis."""
    steps = [m * 10.0**e for e in range(-4, 8) for m in ((1, 2, 5) if high / low < 200 else (1,))]
    return [s for s in steps if low * 0.999 <= s <= high * 1.001]


def text(x, y, words, anchor="middle", size=11, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{more}>{html.escape(words)}</text>'


def frame(title, unit, legend):
    out = [text(LEFT, 16, title, "start", 13, ' font-weight="600"')]
    x = LEFT
    for name, colour, dash in legend:
        out.append(f'<line x1="{x}" y1="30" x2="{x + 18}" y2="30" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        out.append(text(x + 22, 34, name, "start"))
        x += 34 + 6 * len(name)
    out.append(text(14, (TOP + HEIGHT - BOTTOM) / 2, unit, more=f' transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2})"'))
    return out


def lines(title, x_unit, y_unit, series):
    """series: [(peer, name, dash, [(x, y)])]; both axes are logarithmic."""
    xs = [x for *_, all_ in series for x, _ in all_]
    ys = [y for *_, all_ in series for _, y in all_]
    x0, x1 = min(xs), max(max(xs), min(xs) * 1.01)
    y0, y1 = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys) * 1.001))
    across = lambda x: LEFT + (WIDTH - LEFT - RIGHT) * math.log(x / x0) / math.log(x1 / x0)
    up = lambda y: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(y / y0) / math.log(y1 / y0)
    several = len({name for _, name, *_ in series}) > 1
    legend = [(NAMES.get(peer, peer), COLOURS.get(peer, "#444"), "") for peer in OrderedDict.fromkeys(peer for peer, *_ in series)]
    if several:
        legend += [(name, "#444", dash) for name, dash in OrderedDict((name, dash) for _, name, dash, _ in series).items()]
    out = frame(title, y_unit, legend)
    for y in ticks(y0, y1):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" y2="{up(y):.1f}" stroke="#ddd"/>')
        out.append(text(LEFT - 5, up(y) + 4, shown(y), "end", 10))
    for x in sorted(set(xs)):
        out.append(text(across(x), HEIGHT - BOTTOM + 15, shown(x), size=10))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_unit))
    for peer, name, dash, all_ in series:
        colour = COLOURS.get(peer, "#444")
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in all_)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        for x, y in all_:
            label = html.escape(f"{NAMES.get(peer, peer)} {name}: {shown(y)} {y_unit} at {shown(x)} {x_unit}")
            out.append(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"><title>{label}</title></circle>')
    return out


def bars(title, unit, groups):
    """groups: [(name, {peer: value})]"""
    peers = list(OrderedDict.fromkeys(peer for _, values in groups for peer in values))
    most = max(value for _, values in groups for value in values.values())
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    each = room * 0.8 / len(peers)
    out = frame(title, unit, [(NAMES.get(peer, peer), COLOURS.get(peer, "#444"), "") for peer in peers])
    for i, (name, values) in enumerate(groups):
        out.append(text(LEFT + room * (i + .5), HEIGHT - BOTTOM + 15, name, size=10))
        for k, peer in enumerate(peers):
            if peer in values:
                tall = (HEIGHT - TOP - BOTTOM - 14) * values[peer] / most
                x, y = LEFT + room * (i + .1) + each * k, HEIGHT - BOTTOM - tall
                out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{each - 2:.1f}" height="{tall:.1f}" fill="{COLOURS.get(peer, "#444")}"/>')
                out.append(text(x + each / 2, y - 3, shown(values[peer]), size=9))
    return out


def plots(tables):
    found = []
    for title, x_unit, y_unit, where, metrics, factor in PLOTS:
        series = []
        if where == "fifths":
            series = [(peer, "", "", all_) for peer, all_ in fifths(tables).items()]
        for dash, (metric, name) in zip(DASHES, metrics):
            series += [(peer, name, dash, all_) for peer, all_ in points(tables, where, metric, factor).items()]
        if series:
            found.append(lines(title, x_unit, y_unit, series))
    for title, unit, metric, wanted in BARS:
        groups = []
        for table, name in wanted:
            values = {peer: number(value) for peer, value in tables.get(table, {}).get(metric, {}).items()}
            values = {peer: value for peer, value in values.items() if value and value > 0}
            if values:
                groups.append((name, values))
        if groups:
            found.append(bars(title, unit, groups))
    return found


def svg(parts, width=WIDTH, height=HEIGHT):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif" fill="#222">'
    return head + f'<rect width="{width}" height="{height}" fill="#fff"/>' + "".join(parts) + "</svg>"


def figures(tables):
    out = []
    for table, metrics in tables.items():
        peers = list(OrderedDict.fromkeys(peer for row in metrics.values() for peer in row))
        out.append(f"<h3>{html.escape(table)}</h3><table><tr><th></th>" + "".join(f"<th>{html.escape(NAMES.get(p, p))}</th>" for p in peers) + "</tr>")
        for metric, row in metrics.items():
            out.append(f"<tr><td>{html.escape(metric)}</td>" + "".join(f"<td>{html.escape(row.get(p, ''))}</td>" for p in peers) + "</tr>")
        out.append("</table>")
    return "".join(out)


STYLE = """body{font:15px/1.5 sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}svg{margin:4px;max-width:100%;height:auto}
table{border-collapse:collapse;font-size:13px}td,th{border-bottom:1px solid #ddd;padding:2px 10px;text-align:right}td:first-child{text-align:left}"""


def main(results, page, picture=None):
    tables = read(results)
    drawn = plots(tables)
    if not drawn:
        sys.exit("page.py: nothing was measured that can be drawn")
    with open(page, "w") as out:
        out.write(f"<!doctype html><html lang=en><meta charset=utf-8><title>Benchmark</title><style>{STYLE}</style><h1>Benchmark</h1>"
                  "<p>All peers on one machine in one run; made by <code>tests/bench/run</code>. Axes of lines are logarithmic. "
                  "On a busy machine trust CPU and memory, then ratios, then rates.</p>"
                  + "".join(svg(parts) for parts in drawn) + "<h2>All figures</h2>" + figures(tables) + "</html>\n")
    if picture:
        with open(picture, "w") as out:
            placed = [f'<g transform="translate({WIDTH * (i % 2)} {HEIGHT * (i // 2)})">' + "".join(parts) + "</g>" for i, parts in enumerate(drawn[:4])]
            rows = (len(placed) + 1) // 2
            out.write(svg(placed, 2 * WIDTH, rows * HEIGHT) + "\n")


main(*sys.argv[1:])
