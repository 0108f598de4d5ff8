#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The networks of networks.c in PyTorch, as fast as it is told to be: float16, channels last, a CUDA graph;
and compiled with mode="max-autotune". What is run lies on the device already.

usage: measure_torch.py --go FILE [--batch 1,8,32,128] [--seconds S]
Compiles, each network and batch in a process of its own, until FILE is there, then times one after the other:
before, others may use the device. FILE.ready grows by a line for each that is compiled; FILE.all is there when none
is left to wait for. Prints a line per network and batch: name, fp16, batch, microseconds of a run (median), how;
and another one where it is compiled. What Inductor compiles is found again in TORCHINDUCTOR_CACHE_DIR.
"""
import argparse
import fcntl
import os
import pathlib
import statistics
import subprocess
import sys
import time

import torch
from torch import nn

torch.backends.cudnn.benchmark = True


def conv(cin, cout, k, stride=1, group=1):
    return nn.Conv2d(cin, cout, k, stride, k // 2, groups=group)


class Bottleneck(nn.Module):
    def __init__(self, cin, width, stride, first):
        super().__init__()
        self.body = nn.Sequential(conv(cin, width, 1), nn.ReLU(), conv(width, width, 3, stride), nn.ReLU(),
                                  conv(width, 4 * width, 1))
        self.shortcut = conv(cin, 4 * width, 1, stride) if first else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet50():
    parts, cin = [conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            parts.append(Bottleneck(cin, width, stride if i == 0 else 1, i == 0))
            cin = 4 * width
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, 1000))


class Inverted(nn.Module):
    def __init__(self, cin, cout, stride, t):
        super().__init__()
        hidden = cin * t
        grow = [conv(cin, hidden, 1), nn.ReLU6()] if t > 1 else []
        self.body = nn.Sequential(*grow, conv(hidden, hidden, 3, stride, hidden), nn.ReLU6(), conv(hidden, cout, 1))
        self.adds = stride == 1 and cin == cout

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet_v2():
    parts, cin = [conv(3, 32, 3, 2), nn.ReLU6()], 32
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                       (6, 320, 1, 1)):
        for i in range(n):
            parts.append(Inverted(cin, c, s if i == 0 else 1, t))
            cin = c
    return nn.Sequential(*parts, conv(cin, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(1280, 1000))


class Encoder(nn.Module):
    def __init__(self, width=768, heads=12):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, width)
        x = self.norm1(x + self.out(y))
        return self.norm2(x + self.down(nn.functional.gelu(self.up(x))))


class Pooler(nn.Module):
    def __init__(self, width=768):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return torch.tanh(self.linear(x[:, 0]))


def bert_base():
    return nn.Sequential(*[Encoder() for _ in range(12)], Pooler())


def mlp():
    return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


MODELS = {
    "resnet50": (resnet50, (3, 224, 224)),
    "bert_base": (bert_base, (128, 768)),
    "mobilenet_v2": (mobilenet_v2, (3, 224, 224)),
    "mlp": (mlp, (64,)),
}


def captured(model, x):
    """A function that replays the model on x."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            model(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        model(x)
    return lambda _: graph.replay()


def median_us(model, x, seconds):
    for _ in range(5):
        model(x)
    torch.cuda.synchronize()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        began = time.perf_counter()
        model(x)
        torch.cuda.synchronize()
        times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times)


def prepare(name, batch):
    build, shape = MODELS[name]
    model = build().half().cuda().eval()
    x = torch.randn(batch, *shape, dtype=torch.half, device="cuda")
    if len(shape) == 3:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    return model, x


def compiled(model, x):
    """As fast as max-autotune makes it; None where it does not compile."""
    fast = torch.compile(model, mode="max-autotune", dynamic=False)
    try:
        for _ in range(3):
            fast(x)
        torch.cuda.synchronize()
        return fast
    except Exception as e:  # what it does not compile is timed as it is
        print(f"# does not compile: {str(e).splitlines()[0]}", file=sys.stderr, flush=True)
        return None


def one(name, batch, args):
    """A network and batch: compiled, then timed when its turn comes."""
    go = pathlib.Path(args.go)
    with torch.inference_mode():
        model, x = prepare(name, batch)
        fast = None if go.exists() else compiled(model, x)
        with open(f"{go}.ready", "a") as f:
            f.write(f"{name} {batch}\n")
        while not go.exists():
            time.sleep(0.1)
        with open(go) as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            print(f"{name} fp16 {batch} {median_us(captured(model, x), x, args.seconds):.1f} graph", flush=True)
            if fast:
                print(f"{name} fp16 {batch} {median_us(fast, x, args.seconds):.1f} max-autotune", flush=True)


def all_of(todo, args):
    """One process each; those that still compile when FILE is there begin again without."""
    go = pathlib.Path(args.go)

    def start(name, batch):
        return subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--one", name, "--batch", str(batch)])

    def ready():
        file = pathlib.Path(f"{go}.ready")
        return {tuple(line.split()) for line in file.read_text().splitlines()} if file.exists() else set()

    children = {(name, str(batch)): start(name, batch) for name, batch in todo}
    while not go.exists():
        if all(key in ready() or child.poll() is not None for key, child in children.items()):
            pathlib.Path(f"{go}.all").touch()
        time.sleep(0.1)
    for key in children.keys() - ready():
        children[key].kill()
        children[key].wait()
        children[key] = start(*key)
    for child in children.values():
        child.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", default="1,8,32,128")
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--go", required=True)
    parser.add_argument("--one", choices=MODELS, help="only this, here")
    args = parser.parse_args()
    torch.manual_seed(1)
    batches = [int(n) for n in args.batch.split(",")]
    if args.one:
        one(args.one, batches[0], args)
        return
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "2")
    all_of([(name, batch) for batch in batches for name in MODELS], args)


if __name__ == "__main__":
    main()
