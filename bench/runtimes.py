"""Runtimes that read ONNX and TFLite files: a function to call on bound buffers, one thread, and what it computed.

Every function takes the model (ONNX: bytes or a path) and its inputs by name, and gives (call, outputs).
"""

import os

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
for variable in THREADS:
    os.environ[variable] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np


def onnxruntime(model, inputs):
    import onnxruntime as rt

    options = rt.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = rt.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    results = []
    for key, value in inputs.items():
        binding.bind_ortvalue_input(key, rt.OrtValue.ortvalue_from_numpy(value))
    for out in session.get_outputs():
        results.append(rt.OrtValue.ortvalue_from_shape_and_type(out.shape, np.float32))
        binding.bind_ortvalue_output(out.name, results[-1])
    # Below the Python methods, which cost more than a small layer.
    run, bound = session._sess.run_with_iobinding, binding._iobinding
    return lambda keep=(session, binding): run(bound, None), lambda: [r.numpy() for r in results]


def openvino(model, inputs):
    import openvino as ov

    core = ov.Core()
    read = core.read_model(model, b"") if isinstance(model, bytes) else core.read_model(model)
    hints = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    threads = {"INFERENCE_NUM_THREADS": "1", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(read, "CPU", hints | threads)
    request = compiled.create_infer_request()
    for port in compiled.inputs:
        request.set_tensor(port, ov.Tensor(inputs[port.any_name], shared_memory=True))
    infer = super(type(request), request).infer
    outputs = range(len(compiled.outputs))
    return (
        lambda keep=(compiled, inputs): infer({}, False, True),
        lambda: [np.array(request.get_output_tensor(i).data) for i in outputs],
    )


def litert(path, inputs):
    """`inputs` in the order of the model's, or named as they are."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()
    for name, value in inputs.items():
        matching = [d for d in details if name in d["name"]] if len(details) > 1 else details
        interpreter.set_tensor(matching[0]["index"], value)
    outputs = [d["index"] for d in interpreter.get_output_details()]
    return interpreter._interpreter.Invoke, lambda: [np.array(interpreter.get_tensor(i)) for i in outputs]


def one_node(kind, inputs, constants, shape, **attributes):
    """The bytes of an ONNX model of one node, which reads the inputs, then the constants."""
    from onnx import TensorProto, helper, numpy_helper

    def info(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    node = helper.make_node(kind, [*inputs, *constants], ["y"], **attributes)
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([node], "g", [info(k, v.shape) for k, v in inputs.items()], [info("y", shape)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def ncnn(base, x, winograd=True):
    """The files BASE.param and BASE.bin on one NHWC sample; without Winograd, convolutions are direct."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_winograd_convolution = winograd
    for reduced in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{reduced}", False)
    net.load_param(f"{base}.param")
    net.load_model(f"{base}.bin")
    channels_first = np.ascontiguousarray(x[0].transpose(2, 0, 1))
    image = ncnn.Mat(channels_first).clone()  # a Mat of an array borrows its memory
    source, target = net.input_names()[0], net.output_names()[0]

    def call():
        extractor = net.create_extractor()
        extractor.input(source, image)
        return extractor.extract(target)[1]

    def outputs():
        y = np.array(call())
        return [y.transpose(1, 2, 0) if y.ndim == 3 else y]

    return call, outputs
