"""Other orders of sums (N3, N4): lanes and blocks of one formula, and other ways to store a gradient."""

from loop_text import case, const, contraction, copied, fma_tile, func, kernel_text, loop, out, tiles_of, zeros


def dense_wgrad_transposed(batch, k, o):
    """The same gradient for weights that lie as [o][k]: what the transposition costs."""
    body = []
    for low in range(0, o, 5):
        body += fma_tile(
            5,
            2,
            [("n", 0, batch, 1)],
            lambda r, _: f"load b[n*{o} + {low + r}]",
            lambda v, _: f"load f32x8 a[n*{k} + k + {8 * v}]",
            zeros,
            lambda r, v, value: f"store y[{(low + r) * k} + k + {8 * v}], {value}",
        )
    name = f"dense_wgrad_{batch}_transposed"
    case(
        name,
        "dense_wgrad",
        2 * batch * k * o,
        contraction([batch, k], [batch, o], "a[n,k] b[n,o] -> y[o,k]"),
        func(name, [const("a", batch, k), const("b", batch, o), out("y", o, k)], loop("k", 0, k, 16, body)),
    )


def dense_wgrad_masked(batch, k, o):
    """Vectors along o: 10 = 8 + 2, the second one masked."""
    body = []
    mask = f"first({o - 8}, splat 8 true, splat 8 false)"
    for low, high, rows in ((0, k // 6 * 6, 6), (k // 6 * 6, k, k % 6)):
        body += loop(
            "k",
            low,
            high,
            rows,
            fma_tile(
                rows,
                2,
                [("n", 0, batch, 1)],
                lambda r, _: f"load a[n*{k} + k + {r}]",
                lambda v, _: f"load f32x8 b[n*{o} + {8 * v}]" + (f" mask {mask} else 0" if v else ""),
                zeros,
                lambda r, v, value: f"store y[k*{o} + {r * o + 8 * v}], {value}" + (f" mask {mask}" if v else ""),
            ),
        )
    name = f"dense_wgrad_{batch}_masked"
    case(
        name,
        "dense_wgrad",
        2 * batch * k * o,
        contraction([batch, k], [batch, o], "a[n,k] b[n,o] -> y[k,o]"),
        func(name, [const("a", batch, k), const("b", batch, o), out("y", k, o)], body),
    )


def product_blocks(batch, k, o, block):
    """Weight gradient of a Dense with a long batch, cut in blocks (0: no cut): block results are added to y."""
    name = f"wgrad_{batch}x{k}x{o}_b{block}"
    reference = kernel_text(
        f"a: f32[{batch},{k}], b: f32[{batch},{o}]",
        f"f32[{k},{o}]",
        f"y[k<{k}, o<{o}] = dot n<{batch}{f' block {block}' if block else ''} : a[n,k] * b[n,o]",
    )

    def tiles(low, high, add):
        lines = []
        for first, last, rows in tiles_of(k, 6):

            def store(r, v, value):
                at = f"y[k*{o} + {r * o} + o + {8 * v}]"
                return f"store {at}, " + (f"add(load f32x8 {at}, {value})" if add else value)

            lines += loop(
                "k",
                first,
                last,
                rows,
                fma_tile(
                    rows,
                    2,
                    [("n", low, high, 1)],
                    lambda r, _: f"load a[n*{k} + k + {r}]",
                    lambda v, _: f"load f32x8 b[n*{o} + o + {8 * v}]",
                    zeros,
                    store,
                ),
            )
        return loop("o", 0, o, 16, lines)

    body = tiles("0", block or batch, False)
    if block:
        body += loop("n0", block, batch, block, tiles("n0", f"n0 + {block}", True))
    case(
        name,
        "blocks",
        2 * batch * k * o,
        reference,
        func(name, [const("a", batch, k), const("b", batch, o), out("y", k, o)], body),
        is_kernel=True,
    )


# ---- Orders of sums (N4): one row times a matrix, sums of rows, with L lanes


def dense_lanes(m, k, n, lanes):
    """y[n,o] = sum_k a[n,k] b[k,o]. With lanes along k, weights are packed as [o][k]; else as panels of 16 outputs."""
    name = f"dense_{m}x{k}x{n}_l{lanes}"
    reference = kernel_text(
        f"a: f32[{m},{k}], b: f32[{k},{n}]",
        f"f32[{m},{n}]",
        f"y[n<{m}, o<{n}] = dot k<{k}{f' lanes {lanes}' if lanes > 1 else ''} : a[n,k] * b[k,o]",
    )
    body = []
    if lanes == 1:
        panel = min(64, (n + 7) // 8 * 8) if m == 1 else 16
        size = (n + panel - 1) // panel * panel * k
        pack = copied(lambda i: ("b_packed", i), None, size, unroll=1)
        pack += loop(
            "o",
            0,
            n,
            1,
            loop(
                "k",
                0,
                k,
                1,
                [f"store b_packed[div(o, {panel})*{panel * k} + k*{panel} + rem(o, {panel})], load b[k*{n} + o]"],
            ),
        )
        for low in range(0, n, panel):

            def store(r, v, value, low=low):
                left = n - low - 8 * v
                mask = "" if left >= 8 else f" mask first({left}, splat 8 true, splat 8 false)"
                return f"store y[n*{n} + {r * n + low + 8 * v}], {value}{mask}"

            for first, last, rows in tiles_of(m, 6):
                body += loop(
                    "n",
                    first,
                    last,
                    rows,
                    fma_tile(
                        rows,
                        min(panel, (n - low + 7) // 8 * 8) // 8,
                        [("k", 0, k, 1)],
                        lambda r, _: f"load a[n*{k} + k + {r * k}]",
                        lambda v, _: f"load f32x8 b_packed[{low * k} + k*{panel} + {8 * v}]",
                        zeros,
                        store,
                    ),
                )
    else:
        width, lane = max(1, lanes // 8), min(lanes, 8)  # registers of a sum, lanes of a register
        size = n * k
        pack = loop("o", 0, n, 1, loop("k", 0, k, 1, [f"store b_packed[o*{k} + k], load b[k*{n} + o]"]))
        for n0, n1, rows in tiles_of(m, 2):
            for o0, o1, outs in tiles_of(n, max(1, 12 // width // rows)):
                body += loop("n", n0, n1, rows, loop("o", o0, o1, outs, lanes_tile(k, n, rows, outs, width, lane)))
    case(
        name,
        "lanes",
        2 * m * k * n,
        reference,
        func("pack_b", [const("b", k, n), out("b_packed", size)], pack)
        + func(name, [const("a", m, k), const("b_packed", size), out("y", m, n)], body),
        is_kernel=True,
    )


def dense_chains(m, k, n, lanes, rows, vectors):
    """The same sums, but vectors along o: a lane is a register of its own, and lanes are combined without shuffles."""
    name = f"dense_{m}x{k}x{n}_l{lanes}_chains"
    panel = 8 * vectors
    reference = kernel_text(
        f"a: f32[{m},{k}], b: f32[{k},{n}]",
        f"f32[{m},{n}]",
        f"y[n<{m}, o<{n}] = dot k<{k}{f' lanes {lanes}' if lanes > 1 else ''} : a[n,k] * b[k,o]",
    )
    pack = loop(
        "o",
        0,
        n,
        8,
        loop(
            "k",
            0,
            k,
            1,
            [f"store b_packed[div(o, {panel})*{panel * k} + k*{panel} + rem(o, {panel})], load f32x8 b[k*{n} + o]"],
        ),
    )
    body = []
    for low, high, count in tiles_of(m, rows):
        accs = [(r, v, lane) for r in range(count) for v in range(vectors) for lane in range(lanes)]
        lines = [
            ", ".join("r%d_%d_%d" % a for a in accs)
            + f" = for k = 0 to {k} step {lanes} carry ("
            + ", ".join("s%d_%d_%d = splat 8 f32(0)" % a for a in accs)
            + ") {"
        ]
        for lane in range(lanes):
            lines += [
                f"  w{lane}_{v} = load f32x8 b_packed[o*{k} + k*{panel} + {panel * lane + 8 * v}]"
                for v in range(vectors)
            ]
            for r in range(count):
                lines.append(f"  x{r}_{lane} = splat 8 load a[n*{k} + k + {r * k + lane}]")
                lines += [f"  t{r}_{v}_{lane} = fma(x{r}_{lane}, w{lane}_{v}, s{r}_{v}_{lane})" for v in range(vectors)]
        lines += ["yield " + ", ".join("t%d_%d_%d" % a for a in accs), "}"]
        for r in range(count):
            for v in range(vectors):
                group = [f"r{r}_{v}_{lane}" for lane in range(lanes)]
                while len(group) > 1:
                    group = [f"add({a}, {b})" for a, b in zip(group[: len(group) // 2], group[len(group) // 2 :])]
                lines.append(f"store y[n*{n} + {r * n} + o + {8 * v}], {group[0]}")
        body += loop("n", low, high, count, lines)
    case(
        name,
        "lanes",
        2 * m * k * n,
        reference,
        func("pack_b", [const("b", k, n), out("b_packed", n * k)], pack)
        + func(name, [const("a", m, k), const("b_packed", n * k), out("y", m, n)], loop("o", 0, n, panel, body)),
        is_kernel=True,
    )


def lanes_tile(k, n, rows, outs, width, lane):
    lanes = width * lane
    accs = [(r, t, v) for r in range(rows) for t in range(outs) for v in range(width)]
    whole = k // lanes * lanes
    lines = [
        ", ".join("r%d_%d_%d" % a for a in accs)
        + f" = for k = 0 to {whole} step {lanes} carry ("
        + ", ".join("s%d_%d_%d" % a + f" = splat {lane} f32(0)" for a in accs)
        + ") {"
    ]
    lines += [
        f"  x{r}_{v} = load f32x{lane} a[n*{k} + k + {r * k + lane * v}]" for r in range(rows) for v in range(width)
    ]
    lines += [
        f"  w{t}_{v} = load f32x{lane} b_packed[o*{k} + k + {t * k + lane * v}]"
        for t in range(outs)
        for v in range(width)
    ]
    lines += ["  yield " + ", ".join(f"fma(x{r}_{v}, w{t}_{v}, s{r}_{t}_{v})" for r, t, v in accs), "}"]
    result = {a: "r%d_%d_%d" % a for a in accs}
    for v in range((k - whole) // lane):  # the last partial group of lanes; whole registers here
        for r in range(rows):
            for t in range(outs):
                lines.append(
                    f"e{r}_{t}_{v} = fma(load f32x{lane} a[n*{k} + {r * k + whole + lane * v}], "
                    f"load f32x{lane} b_packed[o*{k} + {t * k + whole + lane * v}], {result[r, t, v]})"
                )
                result[r, t, v] = f"e{r}_{t}_{v}"
    for r in range(rows):
        for t in range(outs):
            lines.append(f"store y[n*{n} + o + {r * n + t}], {tree([result[r, t, v] for v in range(width)])}")
    return lines


def tree(registers):
    """Lane l with l + L/2, then halves again: first whole registers, then inside of one."""
    while len(registers) > 1:
        half = len(registers) // 2
        registers = [f"add({a}, {b})" for a, b in zip(registers[:half], registers[half:])]
    return f"tree add({registers[0]})"


def row_sums(rows, k, lanes):
    name = f"rows_{rows}x{k}_l{lanes}"
    reference = kernel_text(
        f"a: f32[{rows},{k}]",
        f"f32[{rows}]",
        f"y[n<{rows}] = sum k<{k}{f' lanes {lanes}' if lanes > 1 else ''} : a[n,k]",
    )
    if lanes == 1:  # eight scalar chains at a time: rows are not contiguous along n
        results, carries = ", ".join(f"r{t}" for t in range(8)), ", ".join(f"s{t} = f32(0)" for t in range(8))
        lines = [
            f"{results} = for k = 0 to {k} step 1 carry ({carries}) {{",
            "  yield " + ", ".join(f"add(s{t}, load a[n*{k} + k + {t * k}])" for t in range(8)),
            "}",
        ]
        body = loop("n", 0, rows, 8, lines + [f"store y[n + {t}], r{t}" for t in range(8)])
    else:
        width, lane = max(1, lanes // 8), min(lanes, 8)
        together = max(1, 8 // width)
        accs = [(t, v) for t in range(together) for v in range(width)]
        lines = [
            ", ".join(f"r{t}_{v}" for t, v in accs)
            + f" = for k = 0 to {k} step {lanes} carry ("
            + ", ".join(f"s{t}_{v} = splat {lane} f32(0)" for t, v in accs)
            + ") {"
        ]
        lines.append(
            "  yield " + ", ".join(f"add(s{t}_{v}, load f32x{lane} a[n*{k} + k + {t * k + lane * v}])" for t, v in accs)
        )
        lines.append("}")
        for t in range(together):
            lines.append(f"store y[n + {t}], {tree([f'r{t}_{v}' for v in range(width)])}")
        body = loop("n", 0, rows, together, lines)
    case(name, "lanes", rows * k, reference, func(name, [const("a", rows, k), out("y", rows)], body), is_kernel=True)
