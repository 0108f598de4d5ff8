# SPDX-License-Identifier: Apache-2.0
"""A random walk: whatever order versions come, go, break and are replaced in, what is served is what
loader/repo/policy.h says of what is on disk, and who asks meanwhile is answered."""
import http.client
import json
import os
import random
import shutil
import signal
import threading

import pytest
import signet
from onnx import TensorProto, helper
from signet_server import Server

BROKEN = None
STEPS = 40


def adds(constant):
    """A model that adds this number, by which its answers are told from others'."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "c"], ["y"])], "adds",
        [value("x", TensorProto.FLOAT, ["n", 1])], [value("y", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("c", TensorProto.FLOAT, [1], [constant])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def ask(connection, model, version=None):
    path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0]}]}
    connection.request("POST", path, json.dumps(body))
    reply = connection.getresponse()
    text = reply.read()
    assert reply.status == 200, (path, reply.status, text)
    return int(json.loads(text)["outputs"][0]["data"][0])


class Model:
    """What is on disk, and what must be served: {version: the number that it adds}."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.path = os.path.join(server.root, name)
        self.disk, self.served, self.latest, self.pinned = {}, {}, 1, None
        self.unloaded = False

    def expect(self):
        """Those asked for, or the highest, of what can be loaded; without any the last ones stay, if anything
        is on disk."""
        if self.unloaded:
            self.served = {}
            return
        good = sorted(v for v, c in self.disk.items() if c is not BROKEN)
        wanted = [v for v in good if v in self.pinned] if self.pinned else good[-self.latest:]
        if wanted or not self.disk:
            self.served = {v: self.disk[v] for v in wanted}

    def is_as_expected(self):
        rows = json.loads(self.server.call("POST", "/v2/repository/index")[2])
        rows = {int(r["version"]): r for r in rows if r["name"] == self.name and r.get("version")}
        states = {v: r.get("state") for v, r in rows.items()}
        return {v for v, s in states.items() if s == "READY"} == set(self.served) and \
            set(self.disk) <= set(states) and "LOADING" not in states.values() and self.answers_as_expected()

    def answers_as_expected(self):
        connection = http.client.HTTPConnection(*self.server.address, timeout=signet.PATIENCE_S)
        try:
            return all(ask(connection, self.name, v) == c for v, c in self.served.items()) and \
                (not self.served or ask(connection, self.name) == self.served[max(self.served)])
        finally:
            connection.close()

    def check(self):
        signet.wait_until(self.is_as_expected,
                          f"{self.name} serves {self.served} of {self.disk}\n" + "\n".join(self.server.log))

    def write(self, path, content):
        """Appears as a whole."""
        with open(self.server.dir + "/partial", "wb") as f:
            f.write(content)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.rename(self.server.dir + "/partial", path)


class Walk:
    def __init__(self, server, seed):
        self.server, self.random, self.constant = server, random.Random(seed), 0
        self.models = [Model(server, "steady"), Model(server, "other")]
        self.steady = self.models[0]
        self.said = [f"seed {seed}"]

    def content(self):
        if self.random.random() < 0.3:
            return BROKEN, b"no model"
        self.constant += 1
        return self.constant, adds(self.constant)

    # -- steps, each with what it did in words, or None: it is not possible now ---------------------

    def add(self, m):
        version = self.random.randint(1, 6)
        if version in m.disk:
            return None
        m.disk[version], content = self.content()
        self.server.add(m.name, str(version), data=content)
        return f"add {version}: {m.disk[version]}"

    def copy(self, m):
        """Not as a whole: there is a file that grows."""
        version = self.random.randint(1, 6)
        if version in m.disk:
            return None
        m.disk[version], content = self.content()
        os.makedirs(f"{m.path}/{version}")
        with open(f"{m.path}/{version}/model.onnx", "wb", buffering=0) as f:
            for i in range(0, len(content), 40):
                f.write(content[i:i + 40])
        return f"copy {version}: {m.disk[version]}"

    def replace(self, m):
        if not m.disk:
            return None
        version = self.random.choice(sorted(m.disk))
        m.disk[version], content = self.content()
        m.write(f"{m.path}/{version}/model.onnx", content)
        return f"replace {version}: {m.disk[version]}"

    def remove(self, m):
        if len(m.disk) < 1 + (m is self.steady):
            return None
        version = self.random.choice(sorted(m.disk))
        del m.disk[version]
        self.server.remove(m.name, str(version))
        return f"remove {version}"

    def remove_all(self, m):
        if m is self.steady or not os.path.exists(m.path):
            return None
        gone = self.server.dir + "/gone"
        os.rename(m.path, gone)
        shutil.rmtree(gone)
        m.disk, m.latest, m.pinned = {}, 1, None
        return "remove all"

    def configure(self, m):
        if not m.disk:
            return None
        m.pinned, m.latest = None, self.random.choice([1, 2, 3, 99])
        words = "all" if m.latest == 99 else f"latest {m.latest}"
        m.write(f"{m.path}/model.conf", f"[model]\nversions = {words}\n".encode())
        return f"versions = {words}"

    def pin(self, m):
        if not m.disk:
            return None
        m.pinned = self.random.sample(range(1, 7), self.random.randint(1, 3))
        words = ", ".join(map(str, m.pinned))
        m.write(f"{m.path}/model.conf", f"[model]\nversions = {words}\n".encode())
        return f"versions = {words}"

    def misconfigure(self, m):
        """What is served stays; and then the mistake is mended."""
        if not m.disk:
            return None
        self.constant += 1
        mistake = f"soon{self.constant}"
        m.write(f"{m.path}/model.conf", f"[model]\nversions = {mistake}\n".encode())
        signet.wait_until(lambda: any(f"'{m.name}'" in line and mistake in line for line in self.server.log),
                          f"{m.name}: {mistake} is told")
        m.check()
        return "a mistake, then " + self.configure(m)

    def reload(self, _):
        self.server.process.send_signal(signal.SIGHUP)
        return "reload"

    def unload(self, m):
        if m is self.steady or not m.disk or m.unloaded:
            return None
        assert self.ask_for(m, "unload")[0] == 200
        m.unloaded = True
        return "unload"

    def load(self, m):
        """The error, if there is one, is the newest version's: another may serve all the same."""
        if not m.unloaded or not m.disk:
            return None
        self.ask_for(m, "load")
        m.unloaded = False
        return "load"

    def ask_for(self, m, what):
        return self.server.call("POST", f"/v2/repository/models/{m.name}/{what}")

    def step(self):
        m = self.random.choice(self.models)
        what = self.random.choice([self.add] * 4 + [self.replace] * 3 + [self.remove] * 3 + [
            self.copy, self.remove_all, self.configure, self.pin, self.misconfigure, self.reload,
            self.unload, self.load, self.load])
        said = what(m)
        if said:
            self.said.append(f"{m.name}: {said}")
            m.expect()
            m.check()
        return bool(said)


class Traffic(threading.Thread):
    """Asks one model as fast as it is answered, until told otherwise."""

    def __init__(self, server, model):
        super().__init__(daemon=True)
        self.address, self.model, self.over = server.address, model, False
        self.answers, self.failure = 0, None

    def run(self):
        connection = http.client.HTTPConnection(*self.address, timeout=signet.PATIENCE_S)
        try:
            while not self.over:
                assert ask(connection, self.model) > 0
                self.answers += 1
        except Exception as e:  # told by the walk, with its steps
            self.failure = e


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_served_is_what_the_disk_and_the_policy_say(seed):
    with Server(models={}, options={"repository.settle": "100ms", "http.allow_admin": "true"}) as server:
        walk = Walk(server, seed)
        walk.steady.disk[1] = walk.constant = 1
        server.add("steady", "1", data=adds(1))
        walk.steady.expect()
        walk.steady.check()
        traffic = Traffic(server, "steady")
        traffic.start()
        try:
            done = 0
            while done < STEPS:
                done += walk.step()
                assert traffic.failure is None, traffic.failure
        except Exception as e:
            raise AssertionError("\n".join(walk.said)) from e
        finally:
            traffic.over = True
            traffic.join()
        assert traffic.failure is None and traffic.answers > STEPS, "\n".join(walk.said)
