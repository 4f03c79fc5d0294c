"""The peers of kernels: every cell with the operands that reference.c knows, one thread.

    kernel_peers.py OUT PEER       serves the cells (turns.py)
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import runtimes  # first: it sets the number of threads
import numpy as np

import cells
import support
import turns


def operands_of(kernel, library):
    arrays = {}
    for name, shape in kernel.shapes[0].items():
        arrays[name] = np.empty(shape, np.float32)
        library.fill(arrays[name].ctypes.data, arrays[name].size, name)
    return arrays


def onnx_product(kernel, arrays):
    """(model, inputs) of a Dense layer, or of a product of two inputs."""
    if kernel.constant:
        constants = {name: arrays[name] for name in ("w", "bias")}
        return runtimes.one_node("Gemm", {"x": arrays["x"]}, constants, kernel.shapes[1]), {"x": arrays["x"]}
    return runtimes.one_node("MatMul", arrays, {}, kernel.shapes[1]), arrays


def onnxruntime(kernel, arrays, out):
    return runtimes.onnxruntime(*onnx_product(kernel, arrays))


def openvino(kernel, arrays, out):
    return runtimes.openvino(*onnx_product(kernel, arrays))


def litert(kernel, arrays, out):
    inputs = {name: a for name, a in arrays.items() if not (kernel.constant and name != "x")}
    return runtimes.litert(out / "exported" / f"{kernel.name}.tflite", inputs)


def torch_product(kernel, arrays):
    import torch

    t = {name: torch.from_numpy(a) for name, a in arrays.items()}
    if not kernel.constant:
        y = torch.empty(kernel.shapes[1])
        return lambda: torch.mm(t["x"], t["w"], out=y), lambda: [y.numpy()]
    weight = t["w"].T.contiguous()  # as nn.Linear keeps it
    linear, x, bias = torch.nn.functional.linear, t["x"], t["bias"]
    return lambda: linear(x, weight, bias), lambda: [linear(x, weight, bias).numpy()]


class Convolution:
    """The operands of a convolution as PyTorch has them, and its three calls; results go back to Keras' layout."""

    def __init__(self, kernel, arrays, format):
        import torch

        self.torch, self.kernel = torch, kernel
        g = kernel.geometry
        self.groups = g.c if g.depthwise else 1
        image = lambda a: torch.from_numpy(a).permute(0, 3, 1, 2).contiguous(memory_format=format)
        # [i,j,c,o] to [o,c,i,j], a depthwise [i,j,c,1] to [c,1,i,j].
        order = (2, 3, 0, 1) if g.depthwise else (3, 2, 0, 1)
        self.back = (2, 3, 0, 1) if g.depthwise else (2, 3, 1, 0)
        self.x = image(arrays["x"]) if "x" in arrays else torch.empty(g.n, g.c, g.h, g.w).to(memory_format=format)
        self.dy = image(arrays["dy"]) if "dy" in arrays else None
        empty = torch.empty(g.o, g.c // self.groups, g.i, g.j)
        self.w = torch.from_numpy(arrays["w"]).permute(order) if "w" in arrays else empty
        self.w = self.w.contiguous(memory_format=format)
        self.bias = torch.from_numpy(arrays["bias"]) if "bias" in arrays else None
        self.sizes = ([g.stride] * 2, [g.low] * 2, [1, 1])

    def pixels(self, y):
        return [np.ascontiguousarray(y.permute(0, 2, 3, 1).numpy())]

    def forward(self):
        stride, padding, dilation = self.sizes
        convolution = self.torch.nn.functional.conv2d
        call = lambda: convolution(self.x, self.w, self.bias, stride, padding, dilation, self.groups)
        return call, lambda: self.pixels(call())

    def packed(self):
        """With weights in oneDNN's own layout, as TorchInductor freezes them."""
        stride, padding, dilation = self.sizes
        pack = self.torch.ops.mkldnn._reorder_convolution_weight
        w = pack(self.w, padding, stride, dilation, self.groups, list(self.x.shape))
        run = self.torch.ops.mkldnn._convolution_pointwise
        call = lambda: run(self.x, w, self.bias, padding, stride, dilation, self.groups, "none", [], "")
        return call, lambda: self.pixels(call())

    def gradient(self, mask):
        stride, padding, dilation = self.sizes
        run = self.torch.ops.aten.convolution_backward
        call = lambda: run(
            self.dy, self.x, self.w, None, stride, padding, dilation, False, [0, 0], self.groups, mask
        )
        return call

    def dgrad(self):
        call = self.gradient([True, False, False])
        return call, lambda: self.pixels(call()[0])

    def wgrad(self):
        call = self.gradient([False, True, False])
        return call, lambda: [np.ascontiguousarray(call()[1].permute(self.back).numpy())]


def torch(kernel, arrays, out, format="channels_last", packed=False):
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if len(kernel.shapes[1]) == 2:
        return torch_product(kernel, arrays)
    convolution = Convolution(kernel, arrays, getattr(torch, format))
    return convolution.packed() if packed else getattr(convolution, kernel.role)()


def torch_nchw(kernel, arrays, out):
    return torch(kernel, arrays, out, "contiguous_format")


def torch_packed(kernel, arrays, out):
    return torch(kernel, arrays, out, packed=True)


PACKAGES = {"litert": "ai-edge-litert", "torch_nchw": "torch", "torch_packed": "torch"}


def main():
    from importlib import metadata

    out, peer = pathlib.Path(sys.argv[1]), sys.argv[2]
    library, kernels = support.Library(out), cells.kernels()

    def open_cell(name):
        kernel = kernels[name]
        arrays = operands_of(kernel, library)
        call, outputs = globals()[peer](kernel, arrays, out)
        call()
        result = outputs()[0]
        facts = library.check(kernel, [a.ctypes.data for a in arrays.values()], result.ctypes.data)
        return turns.timed(call), facts

    package = PACKAGES.get(peer, peer)
    turns.serve(open_cell, {"version": f"{package} {metadata.version(package)}"})


if __name__ == "__main__":
    main()
