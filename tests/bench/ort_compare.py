#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our time against ONNX Runtime's, on generated graphs with random weights.

Graphs are written as PyTorch exports them; real models come from --real DIR (a folder each, with
model.onnx and cases.json). Both engines run alternately, round by round, in one run of this script;
outputs must agree. Times are medians of the rounds' medians, load is what comes before the first run,
first the load and the first run (where we pack weights and time kernels, and ONNX Runtime does not),
memory is the most that a process of its own held resident. Needs the Python packages of
tests/requirements.txt.

resnet50_int8 is resnet50 as onnxruntime.quantization makes it (QDQ, per channel, static). It is
compared with ONNX Runtime on the same file, and a second line gives the ratio to ONNX Runtime's
time for the floats; its outputs may be two steps apart.

A name with _bf16 behind it is run with that precision, against ONNX Runtime's float32; outputs may
be BF16_PART of the largest apart. digits (of examples) and, with --real, magika are classifiers run
on many real inputs: "top-1" says how many answers are ONNX Runtime's.

trees are 500 of depth 8; ONNX Runtime gets other rows in every run, as clients send them: processors
learn the way of a row that comes again and again, and then its branches cost nothing. Ours has
no branches.

usage: ort_compare.py --signetctl PATH [--models NAME,...] [--real DIR] [--threads 1,2] [--batch 1,8]
                      [--precision fast] [--rounds N] [--keep DIR] [--markdown FILE] [--plot FILE]
Exit status 1 when outputs disagree, or an answer is another.
"""
import argparse
import datetime
import json
import math
import pathlib
import pickle
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from sklearn.datasets import load_digits
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import native_load
import trees

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/support"))
from onnx_graph import Graph  # noqa: E402 (beside this folder)

RTOL, ATOL = 1e-3, 1e-4
BF16_PART = 0.05
ROUND_SECONDS = 0.6  # of each engine in each round
NATIVE, NATIVE_THREADS = "bert_base", 2  # whose native file's load is compared with cat


def resnet50(batch):
    g = Graph("resnet50")
    x = g.input("input", [batch, 3, 224, 224])
    x = g.node("Relu", [g.conv(x, 3, 64, 7, 2)])
    x = g.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=0)
    cin = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            s = stride if i == 0 else 1
            y = g.node("Relu", [g.conv(x, cin, width, 1)])
            y = g.node("Relu", [g.conv(y, width, width, 3, s)])
            y = g.conv(y, width, 4 * width, 1, gain=0.2)
            if i == 0:
                x = g.conv(x, cin, 4 * width, 1, s, gain=1.0)
            x = g.node("Relu", [g.node("Add", [y, x])])
            cin = 4 * width
    return classifier(g, x, cin, batch)


def mobilenet_v2(batch):
    g = Graph("mobilenet_v2")
    low, high = g.constant(np.float32(0)), g.constant(np.float32(6))
    relu6 = lambda v: g.node("Clip", [v, low, high])
    x = g.input("input", [batch, 3, 224, 224])
    x, cin = relu6(g.conv(x, 3, 32, 3, 2)), 32
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                       (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(n):
            stride, hidden = s if i == 0 else 1, cin * t
            y = relu6(g.conv(x, cin, hidden, 1)) if t > 1 else x
            y = relu6(g.conv(y, hidden, hidden, 3, stride, hidden))
            y = g.conv(y, hidden, c, 1, gain=1.0)
            x = g.node("Add", [x, y]) if stride == 1 and cin == c else y
            cin = c
    return classifier(g, relu6(g.conv(x, cin, 1280, 1)), 1280, batch)


def classifier(g, x, channels, batch):
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x])], axis=1)
    g.output(g.gemm(x, channels, 1000), [batch, 1000])
    return g


def attention(g, x, width, heads, mask, batch, seq):
    size = width // heads
    split = g.constant(np.array([batch, seq, heads, size], np.int64))
    joined = g.constant(np.array([batch, seq, width], np.int64))
    part = lambda perm: g.node("Transpose", [g.node("Reshape", [g.linear(x, width, width), split])], perm=perm)
    q, k, v = part([0, 2, 1, 3]), part([0, 2, 3, 1]), part([0, 2, 1, 3])
    scores = g.node("Div", [g.node("MatMul", [q, k]), g.constant(np.float32(math.sqrt(size)))])
    if mask:
        scores = g.node("Add", [scores, mask])
    context = g.node("MatMul", [g.node("Softmax", [scores], axis=-1), v])
    context = g.node("Reshape", [g.node("Transpose", [context], perm=[0, 2, 1, 3]), joined])
    return g.linear(context, width, width)


def encoder(name, layers, width, heads, masked, batch, seq=128):
    g = Graph(name)
    x = g.input("input", [batch, seq, width])
    mask = g.input("mask", [batch, 1, 1, seq]) if masked else None
    for _ in range(layers):
        y = attention(g, x, width, heads, mask, batch, seq)
        x = g.layer_norm(g.node("Add", [y, x]), width)
        y = g.linear(g.gelu(g.linear(x, width, 4 * width)), 4 * width, width)
        x = g.layer_norm(g.node("Add", [y, x]), width)
    g.output(x, [batch, seq, width])
    return g


def mlp(batch):
    g = Graph("mlp")
    x = g.input("input", [batch, 64])
    for n_in, n_out in ((64, 256), (256, 256), (256, 10)):
        x = g.gemm(x, n_in, n_out, gain=2.0)
        if n_out != 10:
            x = g.node("Relu", [x])
    g.output(x, [batch, 10])
    return g


def lstm(batch, seq=100, width=128):
    """Two layers, one direction each, as PyTorch exports nn.LSTM."""
    g = Graph("lstm")
    x = g.input("input", [seq, batch, width])
    for _ in range(2):
        scale = 1 / math.sqrt(width)
        w, r = g.random((1, 4 * width, width), scale), g.random((1, 4 * width, width), scale)
        zero = g.constant(np.zeros((1, batch, width), np.float32))
        x = g.node("LSTM", [x, w, r, g.random((1, 8 * width), scale), "", zero, zero], hidden_size=width)
        x = g.node("Squeeze", [x, g.constant(np.array([1], np.int64))])
    g.output(x, [seq, batch, width])
    return g


MODELS = {
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "bert_base": lambda batch: encoder("bert_base", 12, 768, 12, True, batch),
    "encoder6": lambda batch: encoder("encoder6", 6, 384, 12, False, batch),
    "mlp": mlp,
    "lstm": lstm,
    "trees": lambda batch: trees.Ensemble("regressor", batch),
    "trees_boosted": lambda batch: trees.Ensemble("boosted", batch),
    "trees_forest": lambda batch: trees.Ensemble("forest", batch),
}


# Behind the name of one of MODELS.
INT8, BF16 = "_int8", "_bf16"
STEPS_MAX = 2


def has_bf16():
    return "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()


def default_models():
    names = [name for name in MODELS if not name.startswith("trees_")] + ["resnet50" + INT8, "digits"]
    return names + [name + BF16 for name in ("resnet50", "bert_base", "encoder6", "digits") if has_bf16()]


class Samples(CalibrationDataReader):
    """A few random inputs, by which the tool chooses scales."""

    def __init__(self, graph, count=2):
        self.left = [random_inputs(graph, seed) for seed in range(3, 3 + count)]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantize(graph, floats, model):
    """The size of a step of the output."""
    prepared = model.with_suffix(".prepared")
    quant_pre_process(floats, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, model, Samples(graph), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return next(numpy_helper.to_array(i) for i in onnx.load(model).graph.initializer
                if i.name == "output_scale")


class OurEngine:
    name = "signet"

    def __init__(self, args, folder, job, outputs, threads):
        self.command = [args.signetctl, "run", str(job.model), "--threads", str(threads), "--json",
                        "--precision", job.precision or args.precision]
        self.outputs = {name: folder / f"ours_{i}.npy" for i, name in enumerate(outputs)}
        for i, (name, value) in enumerate(job.inputs[0].items()):
            np.save(folder / f"in_{i}.npy", value)
            self.command += ["--input", f"{name}={folder / f'in_{i}.npy'}"]
        for name, file in self.outputs.items():
            self.command += ["--output", f"{name}={file}"]

    def run(self, times):
        """{"median_us", "first_us", "load_ms", "peak_rss_bytes"}; a process of its own each time."""
        done = subprocess.run(self.command + ["--repeat", str(times)], check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def result(self):
        return [np.load(file) for file in self.outputs.values()]


THEIR_RUN = """
import json, pickle, re, statistics, sys, time
import onnxruntime
model, variants, outputs, threads, times = pickle.load(sys.stdin.buffer)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
options.log_severity_level = 3
began = time.perf_counter()
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
load = time.perf_counter() - began
taken = []
for i in reversed(range(times + 1)):
    inputs = variants[i % len(variants)]
    began = time.perf_counter()
    result = session.run(outputs, inputs)
    taken.append(time.perf_counter() - began)
pickle.dump(result, open(sys.argv[1], "wb"))
print(json.dumps({"median_us": statistics.median(taken[1:]) * 1e6, "first_us": taken[0] * 1e6,
                  "load_ms": load * 1e3,
                  "peak_rss_bytes": 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])}))
"""


class TheirEngine:
    name = "ort"

    def __init__(self, folder, model, variants, outputs, threads):
        self.file = folder / "theirs.pickle"
        self.job = (str(model), variants, outputs, threads)

    def run(self, times):
        done = subprocess.run([sys.executable, "-c", THEIR_RUN, str(self.file)], check=True,
                              input=pickle.dumps((*self.job, times)), stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def result(self):
        return pickle.loads(self.file.read_bytes())


def random_inputs(graph, seed=2):
    rng = np.random.default_rng(seed)
    inputs = {}
    for value in graph.inputs:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        inputs[value.name] = rng.standard_normal(shape).astype(np.float32)
    return inputs


class Job:
    """A model with inputs, one or several variants of all; floats: what it was quantized from, with
    the size of an output's step; top1: the output whose largest element is the answer."""

    def __init__(self, name, batch, model, inputs, floats=None, step=None, precision=None, top1=None):
        self.name, self.batch, self.model, self.inputs, self.floats, self.step, self.precision, self.top1 = (
            name, batch, model, inputs, floats, step, precision, top1)

    def allowed(self, b):
        """How far an output may be from b."""
        if self.floats:
            return STEPS_MAX * self.step
        return BF16_PART * np.max(np.abs(b)) if self.precision == "bf16" else ATOL + RTOL * np.abs(b)


def generated(name, batch, folder):
    base = name.removesuffix(INT8).removesuffix(BF16)
    graph = MODELS[base](batch)
    floats = folder / f"{base}_{batch}.onnx"
    graph.save(floats)
    inputs = [random_inputs(graph, 2 + i) for i in range(graph.variants)]
    if not name.endswith(INT8):
        return Job(base, batch, floats, inputs, precision="bf16" if name.endswith(BF16) else None)
    model = folder / f"{name}_{batch}.onnx"
    return Job(name, batch, model, inputs, floats, quantize(graph, floats, model))


def digits(precision):
    """All of scikit-learn's images."""
    images = load_digits().data.astype(np.float32)
    return Job("digits", len(images), TREE / "examples/models/digits/2/model.onnx", [{"image": images}],
               precision=precision, top1="probabilities")


def magika(model, precision):
    """Begin and end of this tree's files, as magika reads them: numbers from 0 to 255, 256 for none."""
    files = sorted(p for p in TREE.glob("[dest]*/**/*") if p.is_file() and p.stat().st_size >= 2048)[::7][:64]
    read = lambda p: np.frombuffer(p.read_bytes(), np.uint8).astype(np.int32)
    rows = np.stack([np.concatenate([b[:1024], b[-1024:]]) for b in map(read, files)])
    return Job("magika", len(rows), model, [{"bytes": rows}], precision=precision, top1="target_label")


def real(folder):
    """The model and the inputs of its first case."""
    case = json.loads((folder / "cases.json").read_text())["cases"][0]
    inputs = {i["name"]: np.fromfile(folder / i["file"], i["type"]).reshape(i["dims"]) for i in case["inputs"]}
    return Job(folder.name, 1, folder / "model.onnx", [inputs])


def same_answers(job, outputs, ours, theirs):
    """How many of how many."""
    i = outputs.index(job.top1)
    same = ours[i].argmax(-1) == theirs[i].argmax(-1)
    return int(same.sum()), same.size


def compare(args, job, threads, folder):
    """Medians over the rounds of ours, theirs and, for a quantized model, theirs for the floats;
    the largest error in units of the tolerance; and, where that is asked for, same_answers()."""
    outputs = [o.name for o in onnx.load(job.model, load_external_data=False).graph.output]
    engines = [OurEngine(args, folder, job, outputs, threads),
               TheirEngine(folder, job.model, job.inputs, outputs, threads)]
    if job.floats:
        engines.append(TheirEngine(folder, job.floats, job.inputs, outputs, threads))
    times = max(3, int(ROUND_SECONDS * 1e6 / engines[1].run(3)["median_us"]))
    rounds = [[engine.run(times) for engine in engines] for _ in range(args.rounds)]
    figures = [{key: statistics.median(r[i][key] for r in rounds) for key in rounds[0][i]}
               for i in range(len(engines))]
    engines[1].run(1)  # its result, not that of the floats
    ours, theirs = engines[0].result(), engines[1].result()
    error = max(np.max(np.abs(a.astype(float) - b) / job.allowed(b), initial=0) for a, b in zip(ours, theirs))
    return figures, error, same_answers(job, outputs, ours, theirs) if job.top1 else None


def first_ms(figures):
    return figures["load_ms"] + figures["first_us"] / 1e3


def row(args, job, threads, figures, error, answers):
    ours, theirs = figures[:2]
    wrong = not error <= 1 or (answers and answers[0] != answers[1])
    return {"name": job.name, "batch": job.batch, "threads": threads, "precision": job.precision or args.precision,
            "ours_ms": ours["median_us"] / 1e3,
            "ort_ms": theirs["median_us"] / 1e3, "ratio": theirs["median_us"] / ours["median_us"],
            "load": ours["load_ms"] / theirs["load_ms"], "first": first_ms(ours) / first_ms(theirs),
            "memory": ours["peak_rss_bytes"] / theirs["peak_rss_bytes"], "error": error,
            "top1": "{}/{}".format(*answers) if answers else "", "wrong": wrong,
            "floats": figures[2]["median_us"] / ours["median_us"] if job.floats else None}


def machine():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown processor"


def written_by_hand(page):
    """What stands in the page from its first section on: of other machines."""
    text = page.read_text() if page.exists() else ""
    at = text.find("\n## ")
    return text[at:] if at >= 0 else ""


def write_markdown(args, rows, mean, native):
    page = pathlib.Path(args.markdown)
    lines = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", "# Performance", "",
             f"{machine()}, {datetime.date.today()}, ONNX Runtime {onnxruntime.__version__}, "
             f"medians of {args.rounds} rounds run in turn. `make bench` makes this page.", "",
             "| graph | batch | threads | precision | Signet ms | ONNX Runtime ms | times faster | load | first | "
             "memory | same top-1 |", "| --- | --: | --: | --- | --: | --: | --: | --: | --: | --: | --: |"]
    lines += [f"| {r['name']} | {r['batch']} | {r['threads']} | {r['precision']} | {r['ours_ms']:.3f} | "
              f"{r['ort_ms']:.3f} | {r['ratio']:.2f} | {r['load']:.2f} | {r['first']:.2f} | {r['memory']:.2f} | "
              f"{r['top1']} |" for r in rows]
    lines += ["", f"Geometric mean, bf16 aside: {mean:.2f} times faster. Load, load with the first run, and memory "
              "are our part of theirs. ONNX Runtime computes in float32 where we do in bf16.", ""]
    if native:
        lines += [native, ""]
    if args.plot:
        lines += [f"![times faster]({pathlib.Path(args.plot).name})", ""]
    page.write_text("\n".join(lines) + written_by_hand(page))


def label(r):
    precision = " bf16" if r["precision"] == "bf16" else ""
    return f'{r["name"]}{precision} b{r["batch"]} t{r["threads"]}'


def write_plot(path, rows):
    """Bars as SVG: a length is a ratio, the line is ONNX Runtime."""
    scale, height = 160, 22
    width = 220 + int(scale * max(r["ratio"] for r in rows)) + 60
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height * len(rows) + 20}" '
             'font-family="sans-serif" font-size="13">']
    for i, r in enumerate(rows):
        y, length = 10 + i * height, scale * r["ratio"]
        parts.append(f'<text x="210" y="{y + 14}" text-anchor="end">{label(r)}</text>'
                     f'<rect x="220" y="{y + 2}" width="{length:.0f}" height="{height - 6}" fill="#4878a8"/>'
                     f'<text x="{226 + length:.0f}" y="{y + 14}">{r["ratio"]:.2f}</text>')
    parts.append(f'<line x1="{220 + scale}" y1="4" x2="{220 + scale}" y2="{height * len(rows) + 12}" '
                 'stroke="#c04040" stroke-dasharray="4 3"/></svg>')
    pathlib.Path(path).write_text("\n".join(parts) + "\n")


def jobs(args, folder):
    for name in filter(None, args.models.split(",")):
        if name.removesuffix(BF16) == "digits":
            yield digits("bf16" if name.endswith(BF16) else None)
            continue
        for batch in map(int, args.batch.split(",")):
            yield generated(name, batch, folder)
    for path in sorted(pathlib.Path(args.real).iterdir()) if args.real else ():
        if (path / "cases.json").exists():
            yield real(path)
            if path.name == "magika" and has_bf16():
                yield magika(path / "model.onnx", "bf16")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signetctl", default="./signetctl")
    parser.add_argument("--models", default=",".join(default_models()))
    parser.add_argument("--threads", default="1")
    parser.add_argument("--batch", default="1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="fast")
    parser.add_argument("--real", help="folder of real models")
    parser.add_argument("--keep", help="leave the generated graphs in this folder")
    parser.add_argument("--markdown", help="write the table as a page")
    parser.add_argument("--plot", help="draw it (SVG)")
    args = parser.parse_args()

    rows = []
    print(f"{'graph':14} batch threads precision {'ours ms':>10} {'ort ms':>10} {'ort/ours':>8} {'load':>6} "
          f"{'first':>6} {'memory':>6}  error/tolerance")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(args.keep or temporary)
        folder.mkdir(exist_ok=True)
        for job in jobs(args, folder):
            for threads in map(int, args.threads.split(",")):
                r = row(args, job, threads, *compare(args, job, threads, folder))
                rows.append(r)
                print("{name:14} {batch:5} {threads:7} {precision:9} {ours_ms:10.3f} {ort_ms:10.3f} {ratio:8.2f} "
                      "{load:6.2f} {first:6.2f} {memory:6.2f}  {error:.3f}{0} {top1}".format(
                          " WRONG" if r["wrong"] else "", **r), flush=True)
                if r["floats"]:
                    print(f"{'':14} {r['floats']:.2f} times ONNX Runtime's floats", flush=True)
        native = None
        if NATIVE in args.models.split(","):
            native = native_load.measure(args.signetctl, generated(NATIVE, 1, folder).model, NATIVE_THREADS)
            print(native)
    same = [r["ratio"] for r in rows if r["precision"] != "bf16"] or [1]
    mean = math.exp(statistics.fmean(map(math.log, same)))
    print(f"geometric mean of ort/ours, bf16 aside: {mean:.2f}")
    if args.markdown:
        write_markdown(args, rows, mean, native)
    if args.plot:
        write_plot(args.plot, rows)
    return int(any(r["wrong"] for r in rows))


if __name__ == "__main__":
    sys.exit(main())
