"""The eight kernels, as a scheduler should write them for a machine with sixteen vector registers of eight lanes."""

from loop_text import case, const, contraction, copied, fma_tile, func, loop, out, zero, zeros

# ---- 1: GEMM, y[n,o] = sum_k x[n,k] w[k,o]


def gemm(m, k, n, tile_rows, nv, name=None):
    name = name or f"gemm_m{m}"
    nr = 8 * nv
    pack = loop(
        "o",
        0,
        n,
        nr,
        loop(
            "k",
            0,
            k,
            1,
            [f"store b_packed[o*{k} + k*{nr} + {8 * v}], load f32x8 b[k*{n} + o + {8 * v}]" for v in range(nv)],
        ),
    )
    body = []
    low = 0
    while low < m:
        rows = min(tile_rows, m - low)
        high = low + (m - low) // rows * rows
        body += loop(
            "n",
            low,
            high,
            rows,
            fma_tile(
                rows,
                nv,
                [("k", 0, k, 1)],
                lambda r, _: f"load a[n*{k} + {r * k} + k]",
                lambda v, _: f"load f32x8 b_packed[o*{k} + k*{nr} + {8 * v}]",
                zeros,
                lambda r, v, value: f"store y[n*{n} + {r * n} + o + {8 * v}], {value}",
            ),
        )
        low = high
    case(
        name,
        "gemm",
        2 * m * k * n,
        contraction([m, k], [k, n], "a[n,k] b[k,o] -> y[n,o]"),
        func("pack_b", [const("b", k, n), out("b_packed", n // nr, k, nr)], pack)
        + func(name, [const("a", m, k), const("b_packed", n // nr, k, nr), out("y", m, n)], loop("o", 0, n, nr, body)),
    )


# ---- 2: convolution 3x3, padding same, NHWC; the input is copied into a halo buffer just before a row is needed


def halo_row(row, source_row, h, w, c):
    """Row `row` of the halo buffer [h+2, w+2, c], from a row of x or zeros."""
    width = (w + 2) * c
    lines = []
    for column in (0, w + 1):
        lines += copied(lambda i, column=column: ("halo", f"({row})*{width} + {column * c} + {i}"), None, c)
    source = None if source_row is None else (lambda i: f"a[({source_row})*{w * c} + {i}]")
    return lines + copied(lambda i: ("halo", f"({row})*{width} + {c} + {i}"), source, w * c)


def conv(name, h, w, c, o, bands):
    """bands: (first row, behind the last, rows of a tile, [(first column, behind the last, columns of a tile), ...])"""
    width = (w + 2) * c
    pack = [f"store b_packed[o*{9 * c} + t*16 + {8 * v}], load f32x8 b[t*{o} + o + {8 * v}]" for v in range(2)]
    pack = loop("o", 0, o, 16, loop("t", 0, 9 * c, 1, pack))
    reduce_loops = [("i", 0, 3, 1), ("j", 0, 3, 1), ("c", 0, c, 1)]
    body = halo_row("0", None, h, w, c)
    streaming = h > 16  # else the image is copied whole
    if streaming:
        body += halo_row("1", "0", h, w, c)
    else:
        body += loop("p", 0, h, 1, halo_row("p + 1", "p", h, w, c)) + halo_row(f"{h + 1}", None, h, w, c)
    for top, bottom, rows, columns in bands:
        tiles = []
        for low, high, count in columns:

            def x(t, _):
                return f"load halo[(p + i)*{width} + (q + j)*{c} + c + {t // count * width + t % count * c}]"

            def store(t, v, value):
                return f"store y[p*{w * o} + q*{o} + o + {t // count * w * o + t % count * o + 8 * v}], {value}"

            def weight(v, _):
                return f"load f32x8 b_packed[o*{9 * c} + (i*3 + j)*{16 * c} + c*16 + {8 * v}]"

            tiles += loop("q", low, high, count, fma_tile(rows * count, 2, reduce_loops, x, weight, zeros, store))
        rows_ahead = []
        if streaming:
            rows_ahead = [f"if p < {h - 1} {{"] + halo_row("p + 2", "p + 1", h, w, c)
            rows_ahead += ["} else {"] + halo_row("p + 2", None, h, w, c) + ["}"]
        body += loop("p", top, bottom, rows, rows_ahead + loop("o", 0, o, 16, tiles))
    spec = f"a[n,h,w,c] b[i,j,c,o] -> y[n,p<{h},q<{w},o] where h == p + i - 1, w == q + j - 1"
    packed = ("b_packed", o // 16, 9 * c, 16)
    parameters = [const("a", 1, h, w, c), const(*packed), out("y", 1, h, w, o), out("halo", h + 2, w + 2, c)]
    reference = contraction([1, h, w, c], [3, 3, c, o], spec)
    packing = func("pack_b", [const("b", 3, 3, c, o), out(*packed)], pack)
    case(name, "conv", 2 * h * w * o * 9 * c, reference, packing + func(name, parameters, body))


# ---- 3: first layer: 3 channels, 3x3, stride 2; the last row and column of taps lie outside, peeled


def first_layer(h, o, unroll=3):
    p = h // 2
    width = 3 * h
    pack = loop(
        "o",
        0,
        o,
        16,
        loop(
            "t",
            0,
            27,
            1,
            [f"store b_packed[o*27 + t*16 + {8 * v}], load f32x8 b[t*{o} + o + {8 * v}]" for v in range(2)],
        ),
    )

    def tile(count, last_row, taps, low, init):
        """Taps (j, c) of a row lie side by side: `taps` of them from `low` on, `unroll` at a time."""
        mask = f" mask p*2 + i < {h} else 0" if last_row else ""
        return fma_tile(
            count,
            2,
            [("i", 0, 3, 1), ("t", low, low + taps, unroll)],
            lambda r, u: f"load a[(p*2 + i)*{width} + q*6 + t + {6 * r + u}]{mask}",
            lambda v, u: f"load f32x8 b_packed[o*27 + (i*9 + t)*16 + {16 * u + 8 * v}]",
            init,
            lambda r, v, value: f"store y[p*{p * o} + q*{o} + o + {r * o + 8 * v}], {value}",
            range(unroll),
        )

    def rows(last_row):
        tail = p % 6 or 6
        lines = loop("q", 0, p - tail, 6, tile(6, last_row, 9, 0, lambda r, v: zero))
        # Column `h` of the image, which the last pixel reads with j = 2, is padding.
        lines += loop("q", p - tail, p - 1, tail - 1, tile(tail - 1, last_row, 9, 0, lambda r, v: zero))
        steps = [(j, c) for j in range(3) for c in range(3)]
        mask = f" mask p*2 + i < {h} else 0" if last_row else ""
        lines += loop(
            "q",
            p - 1,
            p,
            1,
            fma_tile(
                1,
                2,
                [("i", 0, 3, 1)],
                lambda r, step: (
                    "f32(0)" if step[0] == 2 else f"load a[(p*2 + i)*{width} + q*6 + {3 * step[0] + step[1]}]{mask}"
                ),
                lambda v, step: f"load f32x8 b_packed[o*27 + i*144 + {16 * (3 * step[0] + step[1]) + 8 * v}]",
                zeros,
                lambda r, v, value: f"store y[p*{p * o} + q*{o} + o + {8 * v}], {value}",
                steps,
            ),
        )
        return loop("o", 0, o, 16, lines)

    name = f"first_{h}"
    spec = f"a[n,h,w,c] b[i,j,c,o] -> y[n,p<{p},q<{p},o] where h == 2*p + i, w == 2*q + j"
    case(
        name,
        "first",
        2 * p * p * o * 27,
        contraction([1, h, h, 3], [3, 3, 3, o], spec),
        func("pack_b", [const("b", 3, 3, 3, o), out("b_packed", o // 16, 27, 16)], pack)
        + func(
            name,
            [const("a", 1, h, h, 3), const("b_packed", o // 16, 27, 16), out("y", 1, p, p, o)],
            loop("p", 0, p - 1, 1, rows(False)) + loop("p", p - 1, p, 1, rows(True)),
        ),
    )


# ---- 4: depthwise 3x3, padding same: the border is peeled, its taps are executed with zeros


def depthwise(h, w, c, count):
    def tile(top, bottom, left, right):
        # Buffers at the tile, constants from there: else GCC keeps a pointer for each row and pixel, and spills them.
        lines = [
            "zero = splat 8 f32(0)",
            f"let at: f32* = a + p*{w * c} + q*{c} + c",
            f"let result: f32* = y + p*{w * c} + q*{c} + c",
        ]
        acc = ["zero"] * count
        for i in range(3):
            for s in range(count + 2):
                outside = (i == 0 and top) or (i == 2 and bottom) or (s == 0 and left) or (s == count + 1 and right)
                value = "zero" if outside else f"load f32x8 at[{(i - 1) * w * c + (s - 1) * c}]"
                lines.append(f"x{i}_{s} = {value}")
            for j in range(3):
                lines.append(f"w{i}_{j} = load f32x8 b[{(3 * i + j) * c} + c]")
                for t in range(count):
                    lines.append(f"s{i}_{j}_{t} = fma(x{i}_{t + j}, w{i}_{j}, {acc[t]})")
                    acc[t] = f"s{i}_{j}_{t}"
        lines += [f"store result[{t * c}], {acc[t]}" for t in range(count)]
        return loop("c", 0, c, 8, lines)

    def row(top, bottom):
        return (
            loop("q", 0, count, count, tile(top, bottom, True, False))
            + loop("q", count, w - count, count, tile(top, bottom, False, False))
            + loop("q", w - count, w, count, tile(top, bottom, False, True))
        )

    name = f"depthwise_{h}"
    spec = f"a[n,h,w,c] b[i,j,c,m] -> y[n,p<{h},q<{w},c,m] where h == p + i - 1, w == q + j - 1"
    case(
        name,
        "depthwise",
        2 * h * w * c * 9,
        contraction([1, h, w, c], [3, 3, c, 1], spec),
        func(
            name,
            [const("a", 1, h, w, c), const("b", 3, 3, c, 1), out("y", 1, h, w, c)],
            loop("p", 0, 1, 1, row(True, False))
            + loop("p", 1, h - 1, 1, row(False, False))
            + loop("p", h - 1, h, 1, row(False, True)),
        ),
    )


# ---- 5: gradient by the input of a 3x3 convolution with stride 2: four dense parts, by parity of row and column


def dgrad(p, o, c, tiles):
    h = 2 * p
    width = (p + 1) * o  # one column of halo on the left, one row above
    parts = [(r, s) for r in range(2) for s in range(2)]
    taps_of = {0: [(0, 0), (2, 1)], 1: [(1, 0)]}  # (tap, how far back in dy)
    offset, pack, parts_text = 0, [], []
    for r, s in parts:
        taps = [(i, j, di, dj) for i, di in taps_of[r] for j, dj in taps_of[s]]
        for t, (i, j, di, dj) in enumerate(taps):
            pack += loop(
                "c",
                0,
                c,
                16,
                loop(
                    "o",
                    0,
                    o,
                    1,
                    loop(
                        "l",
                        0,
                        16,
                        1,
                        [
                            f"store b_packed[{offset} + c*{len(taps) * o} + {t * o * 16} + o*16 + l], "
                            f"load b[{(3 * i + j) * c * o} + (c + l)*{o} + o]"
                        ],
                    ),
                ),
            )
        lines = []
        for low, high, count in tiles:
            body = []
            for t, (_, _, di, dj) in enumerate(taps):
                part = fma_tile(
                    count,
                    2,
                    [("o", 0, o, 1)],
                    lambda m, _: f"load halo[(h + {1 - di})*{width} + (w + {1 - dj + m})*{o} + o]",
                    lambda v, _: f"load f32x8 b_packed[{offset} + c*{len(taps) * o} + {t * o * 16} + o*16 + {8 * v}]",
                    (lambda m, v: f"r0_{m}_{v}") if t else (lambda m, v: zero),
                    lambda m, v, value: (
                        f"store y[(h*2 + {r})*{h * c} + w*{2 * c} + c + {(2 * m + s) * c + 8 * v}], {value}"
                    ),
                )
                body += part if t + 1 == len(taps) else part[: -2 * count]
            lines += loop("w", low, high, count, body)
        parts_text += loop("c", 0, c, 16, lines)
        offset += len(taps) * o * c
    zero_row = copied(lambda i: ("halo", i), None, width)
    fill = copied(lambda i: ("halo", f"(h + 1)*{width} + {i}"), None, o)
    fill += copied(lambda i: ("halo", f"(h + 1)*{width} + {o} + {i}"), lambda i: f"a[h*{p * o} + {i}]", p * o)
    spec = f"a[n,p,q,o] b[i,j,c,o] -> y[n,h<{h},w<{h},c] where h == 2*p + i, w == 2*q + j"
    name = f"dgrad_s2_{h}"
    case(
        name,
        "dgrad",
        2 * p * p * 9 * o * c,
        contraction([1, p, p, o], [3, 3, c, o], spec),
        func("pack_b", [const("b", 3, 3, c, o), out("b_packed", 9 * o * c)], pack)
        + func(
            name,
            [const("a", 1, p, p, o), const("b_packed", 9 * o * c), out("y", 1, h, h, c), out("halo", p + 1, p + 1, o)],
            zero_row + loop("h", 0, p, 1, fill + parts_text),
        ),
    )


# ---- 6: gradient by the weights of a 3x3 convolution, blocks of one sample (N4); rows in the prefix order (R1)


def wgrad(batch, h, w, c, o, block=1):
    width = (w + 2) * c
    ring = lambda row: f"rem({row}, 3)*{width}"  # rows p-1, p, p+1 of x with a column of zeros on both sides

    def ring_row(row, source):
        lines = []
        for column in (0, w + 1):
            lines += copied(lambda i, column=column: ("ring", f"{ring(row)} + {column * c} + {i}"), None, c)
        value = None if source is None else (lambda i: f"a[({source})*{w * c} + {i}]")
        return lines + copied(lambda i: ("ring", f"{ring(row)} + {c} + {i}"), value, w * c)

    tiles = []
    low = 0
    while low < c:
        count = min(6, c - low)
        high = low + (c - low) // count * count
        at = f"i*{3 * c * o} + j*{c * o} + c*{o} + o"
        tiles += loop(
            "c",
            low,
            high,
            count,
            fma_tile(
                count,
                2,
                [("q", 0, w, 1)],
                lambda r, _: f"load ring[slot + (q + j)*{c} + c + {r}]",
                lambda v, _: f"load f32x8 panel[o*{w} + q*16 + {8 * v}]",
                lambda r, v: f"load f32x8 sums[{at} + {r * o + 8 * v}]",
                lambda r, v, value: f"store sums[{at} + {r * o + 8 * v}], {value}",
            ),
        )
        low = high
    # Slot of image row r is (r + 1) mod 3.
    rows = ring_row("0", None) + ring_row("1", "0")
    rows += loop(
        "p",
        0,
        h,
        1,
        [f"if p < {h - 1} {{"]
        + ring_row("p + 2", "p + 1")
        + ["} else {"]
        + ring_row("p + 2", None)
        + ["}"]
        + loop(
            "o",
            0,
            o,
            16,
            loop(
                "q",
                0,
                w,
                1,
                [
                    f"store panel[o*{w} + q*16 + {8 * v}], load f32x8 b[p*{w * o} + q*{o} + o + {8 * v}]"
                    for v in range(2)
                ],
            ),
        )
        + loop("i", 0, 3, 1, [f"slot = {ring('p + i')}"] + loop("o", 0, o, 16, loop("j", 0, 3, 1, tiles))),
    )
    name = f"wgrad_{h}"
    size = 9 * c * o
    body = copied(lambda i: ("y", i), None, size)
    first_block = ["let a_n: f32* = a + n*%d" % (h * w * c), "let b_n: f32* = b + n*%d" % (h * w * o)]
    body += loop("n", 0, block, 1, first_block + ["call sample(a_n, b_n, y, ring, panel)"])
    body += loop(
        "n0",
        block,
        batch,
        block,
        copied(lambda i: ("part", i), None, size)
        + loop("n", "n0", f"min(n0 + {block}, {batch})", 1, first_block + ["call sample(a_n, b_n, part, ring, panel)"])
        + loop("at", 0, size, 8, ["store y[at], add(load f32x8 y[at], load f32x8 part[at])"]),
    )
    spec = "a[n,h,w,c] b[n,p,q,o] -> y[i<3,j<3,c,o] where h == p + i - 1, w == q + j - 1"
    case(
        name,
        "wgrad",
        2 * batch * h * w * size,
        contraction([batch, h, w, c], [batch, h, w, o], spec),
        func(
            "sample",
            [
                const("a", h, w, c),
                const("b", h, w, o),
                out("sums", 3, 3, c, o),
                out("ring", 3, w + 2, c),
                out("panel", o // 16, w, 16),
            ],
            rows,
        )
        + func(
            name,
            [
                const("a", batch, h, w, c),
                const("b", batch, h, w, o),
                out("y", 3, 3, c, o),
                out("ring", 3, w + 2, c),
                out("panel", o // 16, w, 16),
                out("part", 3, 3, c, o),
            ],
            body,
        ),
    )


# ---- 7: gradient by the weights of Dense(10): vectors along k, tile 16 x 5, transposed through a scratch tile


def dense_wgrad(batch, k, o):
    name = f"dense_wgrad_{batch}"
    body = []
    for low in range(0, o, 5):
        body += fma_tile(
            5,
            2,
            [("n", 0, batch, 1)],
            lambda r, _: f"load b[n*{o} + {low + r}]",
            lambda v, _: f"load f32x8 a[n*{k} + k + {8 * v}]",
            zeros,
            lambda r, v, value: f"store tile[{(low + r) * 16 + 8 * v}], {value}",
        )
    body += loop("l", 0, 16, 1, [f"store y[(k + l)*{o} + {r}], load tile[l + {16 * r}]" for r in range(o)])
    case(
        name,
        "dense_wgrad",
        2 * batch * k * o,
        contraction([batch, k], [batch, o], "a[n,k] b[n,o] -> y[k,o]"),
        func(
            name,
            [const("a", batch, k), const("b", batch, o), out("y", k, o), out("tile", o, 16)],
            loop("k", 0, k, 16, body),
        ),
    )


# ---- 8: LSTM step, H = 64: gates side by side per 16 units; z never leaves registers


def lstm(units):
    """Operands as the graph has them: xw [4,u] (input part and bias), h, c, r [k,4,u]; results c1, h1."""
    name = f"lstm_{units}"
    u16 = loop(
        "u",
        0,
        units,
        16,
        loop(
            "k",
            0,
            units,
            1,
            [
                f"store r_packed[u*{4 * units} + k*64 + {16 * g + 8 * v}], "
                f"load f32x8 r[k*{4 * units} + u + {g * units + 8 * v}]"
                for g in range(4)
                for v in range(2)
            ],
        ),
    )
    accs = [(g, v) for g in range(4) for v in range(2)]
    body = [
        ", ".join(f"z{g}_{v}" for g, v in accs)
        + f" = for k = 0 to {units} step 1 carry ("
        + ", ".join(f"a{g}_{v} = load f32x8 xw[{g * units} + u + {8 * v}]" for g, v in accs)
        + ") {",
        "  x = splat 8 load h[k]",
    ]
    body.append(
        "  yield "
        + ", ".join(f"fma(x, load f32x8 r_packed[u*{4 * units} + k*64 + {16 * g + 8 * v}], a{g}_{v})" for g, v in accs)
    )
    body.append("}")
    for v in range(2):
        body += [
            f"c_{v} = add(mul(sigmoid(z1_{v}), load f32x8 c[u + {8 * v}]), mul(sigmoid(z0_{v}), tanh(z2_{v})))",
            f"store c1[u + {8 * v}], c_{v}",
            f"store h1[u + {8 * v}], mul(sigmoid(z3_{v}), tanh(c_{v}))",
        ]
    step = func(
        "cell",
        [
            const("xw", 4, units),
            const("h", units),
            const("c", units),
            const("r_packed", 4 * units * units),
            out("c1", units),
            out("h1", units),
        ],
        loop("u", 0, units, 16, body),
    )
    reference = f"""module m numerics 1 / fma
func f(%xw: f32[4,{units}], %h: f32[{units}], %c: f32[{units}], %r: f32[{units},4,{units}]) -> (%c1, %h1) {{
  %z = contract %h, %r, %xw {{ a[k] b[k,g,u] -> y[g,u] }}
"""
    for g in range(4):
        reference += f"""  %s{g} = slice %z {{start=[{g},0], limit=[{g + 1},{units}], step=[1,1]}}
  %z{g} = reshape %s{g} {{shape=[{units}]}}
"""
    reference += """  %i = map.sigmoid %z0
  %f = map.sigmoid %z1
  %g = map.tanh %z2
  %o = map.sigmoid %z3
  %fc = map.mul %f, %c
  %ig = map.mul %i, %g
  %c1 = map.add %fc, %ig
  %t = map.tanh %c1
  %h1 = map.mul %o, %t
}
"""
    flops = 2 * units * 4 * units
    case(
        name,
        "lstm",
        flops,
        reference,
        func("pack_r", [const("r", units, 4, units), out("r_packed", 4 * units * units)], u16)
        + step
        + func(
            name,
            [
                const("xw", 4, units),
                const("h", units),
                const("c", units),
                const("r_packed", 4 * units * units),
                out("c1", units),
                out("h1", units),
            ],
            ["call cell(xw, h, c, r_packed, c1, h1)"],
        ),
    )
