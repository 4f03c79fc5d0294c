"""From samples to the tables of docs/performance.md."""

import math
import statistics


def duration(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def middle(times):
    """The median over runs of the medians of each."""
    return statistics.median(median for _, median in times)


def least(times):
    return min(low for low, _ in times)


def ratio(row, ours):
    """Of the best peer's time to that of `ours`, the median over runs; above 1 Tusk is the faster one."""
    peers = peers_of(row, ours)
    if not peers or ours not in row["times"]:
        return None
    runs = range(len(row["times"][ours]))
    return statistics.median(min(row["times"][p][r][1] for p in peers) / row["times"][ours][r][1] for r in runs)


def peers_of(row, ours):
    """Where Tusk is alone, what other compilers make of it."""
    return [n for n in row["times"] if not n.startswith("tusk")] or [n for n in row["times"] if n != ours]


def net_ratio(row, ours, call):
    """The same without the price of an empty call of each; None where that is most of a peer's time."""
    if call is None or call is row or ours not in row["times"]:
        return None
    calls, peers = call["times"], peers_of(row, ours)
    if not peers or any(name not in calls for name in row["times"]):
        return None
    nets = {name: middle(times) - middle(calls[name]) for name, times in row["times"].items()}
    if any(nets[p] < 0.3 * middle(row["times"][p]) for p in peers) or nets[ours] <= 0:
        return None
    return min(nets[p] for p in peers) / nets[ours]


HEAD = "| cell | Tusk, median (min) | GFLOP/s | % of peak | best peer | its median (min) | ratio | without calls | others |"


def line(name, row, ours, peak, call):
    times, peers = row["times"], peers_of(row, ours)
    cells = [name, "", "", "", "", "", "", ""]
    if ours in times:
        rate = row["flops"] / middle(times[ours]) / 1e9
        cells[1] = f"{duration(middle(times[ours]))} ({duration(least(times[ours]))})"
        cells[2:4] = [f"{rate:.3g}", f"{100 * rate / peak:.0f}"]
    best = min(peers, key=lambda p: middle(times[p]), default=None)
    if best:
        cells[4:6] = [best, f"{duration(middle(times[best]))} ({duration(least(times[best]))})"]
    value, net = ratio(row, ours), net_ratio(row, ours, call)
    cells[6] = f"{value:.2f}" if value else ""
    cells[7] = f"{net:.2f}" if net else ""
    others = sorted((middle(t), n) for n, t in times.items() if n not in (ours, best))
    notes = [f"{n} {duration(t)}" for t, n in others] + [f"{n}: {why}" for n, why in row["refused"].items()]
    return "| " + " | ".join([*cells, ", ".join(notes).replace("|", "/")]) + " |"


def table(rows, ours, peak, call=None):
    lines = [HEAD, "|" + "---|" * 9]
    return "\n".join(lines + [line(name, row, ours, peak, call) for name, row in rows.items()])


def share(ratios, bound):
    return f"{sum(r >= bound for r in ratios)} of {len(ratios)} at least {bound}"


def geometric(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def rates(rows, ours, pairs, what):
    """One line: GFLOP/s of each first cell as a part of those of the second."""
    parts = []
    for first, second in pairs.items():
        if all(ours in rows.get(name, {"times": {}})["times"] for name in (first, second)):
            a, b = (rows[name]["flops"] / middle(rows[name]["times"][ours]) for name in (first, second))
            parts.append(f"{first} {a / b:.2f}")
    return f"- {what}: {', '.join(parts)}" if parts else ""


def summary(rows, ours, groups):
    """One line for each group (name, pattern): how many cells are level, the least and the geometric mean."""
    lines = []
    for name, pattern in groups:
        found = {cell: ratio(row, ours) for cell, row in rows.items() if pattern.search(cell)}
        known = [r for r in found.values() if r]
        if known:
            text = f"- {name}: {share(known, 1)}, {share(known, 0.97)}, {share(known, 0.85)}; "
            text += f"least {min(known):.2f}, geometric mean {geometric(known):.2f}"
            missing = len(found) - len(known)
            lines.append(text + (f"; {missing} without a ratio" if missing else ""))
    return "\n".join(lines)
