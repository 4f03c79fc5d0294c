"""Writes the kernels of the experiment: graph text (what is computed) and loop text (how), one pair of files each.

    generate.py DIR            NAME.graph or NAME.kernel, NAME.loop for every case
    generate.py --list         the names of the cases

A case's loop file holds `loop NAME(...)`: inputs in the order of the plain kernel, then outputs, then scratch. An input
called X_packed is written by `loop pack_X(X, X_packed)`, which is not timed: weights are packed at compile time.
"""

import pathlib
import sys

from kernels import conv, dense_wgrad, depthwise, dgrad, first_layer, gemm, lstm, wgrad
from loop_text import CASES
from orders import dense_chains, dense_lanes, dense_wgrad_masked, dense_wgrad_transposed, product_blocks, row_sums

gemm(1, 512, 512, 1, 8)
gemm(4, 512, 512, 4, 2)
gemm(64, 512, 512, 6, 2)
conv("conv_56", 56, 56, 64, 64, [(0, 56, 1, [(0, 48, 6), (48, 56, 4)])])
conv("conv_9", 9, 9, 64, 64, [(0, 8, 2, [(0, 9, 3)]), (8, 9, 1, [(0, 5, 5), (5, 9, 4)])])
first_layer(224, 32)
depthwise(56, 56, 64, 4)
depthwise(14, 14, 128, 7)
dgrad(28, 128, 64, [(0, 24, 6), (24, 28, 4)])
wgrad(4, 56, 56, 64, 64)
dense_wgrad(64, 784, 10)
lstm(64)
gemm(64, 64, 256, 6, 2, "lstm_input")
dense_wgrad_transposed(64, 784, 10)
dense_wgrad_masked(64, 784, 10)
for lanes_ in (1, 4, 8, 16, 32):
    dense_lanes(1, 784, 10, lanes_)
    dense_lanes(1, 512, 1, lanes_)
for lanes_ in (1, 8, 16):
    for shape in (
        (1, 512, 16),
        (1, 128, 32),
        (1, 128, 64),
        (64, 784, 10),
        (64, 512, 16),
        (64, 64, 16),
        (64, 64, 32),
        (64, 512, 32),
    ):
        dense_lanes(*shape, lanes_)
    row_sums(64, 512, lanes_)
for lanes_ in (2, 4):
    for k_, n_ in ((512, 16), (128, 32)):
        dense_chains(1, k_, n_, lanes_, 1, 2)
    for k_, n_ in ((64, 16), (64, 32), (512, 16), (512, 32)):
        dense_chains(64, k_, n_, lanes_, 3, 4 // lanes_)
for block_ in (0, 64, 256):
    product_blocks(1024, 784, 64, block_)


def main():
    if sys.argv[1] == "--list":
        print("\n".join(CASES))
        return
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for c in CASES.values():
        (folder / f"{c.name}.loop").write_text(c.text)
        (folder / f"{c.name}.{'kernel' if c.is_kernel else 'graph'}").write_text(c.reference)


if __name__ == "__main__":
    main()
