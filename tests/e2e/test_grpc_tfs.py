# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's services over gRPC, asked through stubs generated from our .proto files."""
import importlib
import json
import os
import subprocess
import sys
import tempfile
import unittest

import grpc
import numpy as np
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from onnx import TensorProto, helper

import signet
from signet_server import Server

PROTOS = ("tensorflow.proto", "tensorflow_error.proto", "tensorflow_serving.proto")
ROW = np.array([[float((i * 7) % 17) for i in range(64)]], dtype=np.float32)


def stubs():
    """Modules made by Google's compiler, as a user would make them."""
    folder = tempfile.mkdtemp(prefix="signet-test-")
    proto = os.path.join(signet.TREE, "proto")
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I" + proto, "--python_out=" + folder,
                    "--grpc_python_out=" + folder, *PROTOS], check=True)
    sys.path.insert(0, folder)
    return [importlib.import_module(name) for name in (
        "tensorflow_pb2", "tensorflow_serving_pb2", "tensorflow_serving_pb2_grpc")]


tf, tfs, tfs_grpc = stubs()

# numpy's type, DataType, field of the elements
TYPES = [(np.float32, tf.DT_FLOAT, "float_val"), (np.float64, tf.DT_DOUBLE, "double_val"),
         (np.int8, tf.DT_INT8, "int_val"), (np.int16, tf.DT_INT16, "int_val"),
         (np.int32, tf.DT_INT32, "int_val"), (np.int64, tf.DT_INT64, "int64_val"),
         (np.uint8, tf.DT_UINT8, "int_val"), (np.uint16, tf.DT_UINT16, "int_val"),
         (np.uint32, tf.DT_UINT32, "uint32_val"), (np.uint64, tf.DT_UINT64, "uint64_val"),
         (np.bool_, tf.DT_BOOL, "bool_val"), (np.float16, tf.DT_HALF, "half_val")]


def tensor(data, content=True):
    dtype, field = next((d, f) for t, d, f in TYPES if t == data.dtype)
    t = tf.TensorProto(dtype=dtype)
    for size in data.shape:
        t.tensor_shape.dim.add(size=size)
    if content:
        t.tensor_content = data.tobytes()
    else:
        flat = data.view(np.uint16) if field == "half_val" else data
        getattr(t, field).extend(flat.ravel().tolist())
    return t


def array(t):
    """A tensor that comes in the field of its type."""
    assert not t.tensor_content
    kind, field = next((k, f) for k, d, f in TYPES if d == t.dtype)
    flat = np.array(getattr(t, field), np.uint16 if field == "half_val" else kind)
    return flat.view(kind).reshape([d.size for d in t.tensor_shape.dim])


def feature(values):
    f = tf.Feature()
    if isinstance(values[0], float):
        f.float_list.value.extend(values)
    elif isinstance(values[0], int):
        f.int64_list.value.extend(values)
    else:
        f.bytes_list.value.extend(values)
    return f


def example(**features):
    e = tf.Example()
    for name, values in features.items():
        e.features.feature[name].CopyFrom(feature(values))
    return e


def judge():
    """scores = x * w per example, label = its row number in text; value = sum of scores."""
    nodes = [helper.make_node("Mul", ["x", "w"], ["scores"]),
             helper.make_node("ReduceSum", ["scores", "axis"], ["value"], keepdims=1),
             helper.make_node("Expand", ["names", "shape"], ["classes"]),
             helper.make_node("Shape", ["x"], ["shape"])]
    nodes = [nodes[0], nodes[1], nodes[3], nodes[2]]
    graph = helper.make_graph(
        nodes, "judge",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3]),
         helper.make_tensor_value_info("classes", TensorProto.STRING, ["n", 3]),
         helper.make_tensor_value_info("value", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("w", TensorProto.FLOAT, [3], [1, 10, 100]),
         helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
         helper.make_tensor("names", TensorProto.STRING, [3], [b"a", b"b", b"c"])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=8).SerializeToString()


def identity(dtype):
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity",
                              [helper.make_tensor_value_info("x", dtype, ["n", "m"])],
                              [helper.make_tensor_value_info("y", dtype, ["n", "m"])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=8).SerializeToString()


CONF = """
[model judge]
[signature judge/regress]
inputs = x
outputs = outputs=value
[signature judge/classify]
inputs = x
outputs = scores, classes
[model digits]
labels = stable=1
"""


def start(**options):
    folder = tempfile.mkdtemp(prefix="signet-test-")
    conf = os.path.join(folder, "signetd.conf")
    with open(conf, "w") as f:
        f.write(CONF)
    return Server(models={"digits": ["1"]}, grpc=True, args=["--config", conf],
                  options={"repository.settle": "0", **options})


class GrpcTfs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = start()
        cls.s.add("judge", "5", data=judge())
        for kind, _, _ in TYPES:
            name = np.dtype(kind).name
            cls.s.add("echo-" + name, "1", data=identity(helper.np_dtype_to_tensor_dtype(np.dtype(kind))))
        cls.s.add("echo-text", "1", data=identity(TensorProto.STRING))
        for name in ["judge", "echo-text"] + ["echo-" + np.dtype(t[0]).name for t in TYPES]:
            cls.s.wait_ready("/v2/models/%s/ready" % name)
        cls.channel = grpc.insecure_channel("127.0.0.1:%d" % cls.s.grpc_port)
        cls.prediction = tfs_grpc.PredictionServiceStub(cls.channel)
        cls.model = tfs_grpc.ModelServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        assert cls.s.stop() == 0, cls.s.log

    def fails(self, code, call, request, *words):
        with self.assertRaises(grpc.RpcError) as caught:
            call(request, timeout=20)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        for word in words:
            self.assertIn(word, caught.exception.details())

    def request(self, data=ROW, content=True, **spec):
        r = tfs.PredictRequest()
        r.model_spec.name = "digits"
        for key, value in spec.items():
            setattr(r.model_spec, key, value)
        r.inputs["image"].CopyFrom(tensor(data, content))
        return r

    # -- Predict -----------------------------------------------------------------------------

    def test_predict_answers_with_the_version_that_did(self):
        for content in (True, False):
            got = self.prediction.Predict(self.request(content=content), timeout=20)
            self.assertEqual((got.model_spec.name, got.model_spec.version.value, got.model_spec.signature_name),
                             ("digits", 1, "serving_default"))
            self.assertEqual(sorted(got.outputs), ["label", "probabilities"])
            self.assertEqual(array(got.outputs["probabilities"]).shape, (1, 10))

    def test_versions_labels_and_filters(self):
        r = self.request()
        r.model_spec.version.value = 1
        r.output_filter.append("label")
        self.assertEqual(list(self.prediction.Predict(r, timeout=20).outputs), ["label"])
        r = self.request(version_label="stable")
        self.assertEqual(self.prediction.Predict(r, timeout=20).model_spec.version.value, 1)

    def test_version_0_is_the_latest(self):
        r = self.request()
        r.model_spec.version.value = 0
        self.assertEqual(self.prediction.Predict(r, timeout=20).model_spec.version.value, 1)
        status = tfs.GetModelStatusRequest(model_spec=r.model_spec)
        self.assertEqual([v.version for v in self.model.GetModelStatus(status, timeout=20).model_version_status], [1])
        path = "/v1/models/digits/versions/0"
        self.assertEqual(self.s.states("digits/versions/0"), {"1": "AVAILABLE"})
        got = json.loads(self.s.call("GET", path + "/metadata")[2])
        self.assertEqual(got["model_spec"]["version"], "1")
        self.assertEqual(self.s.post(path + ":predict", {"instances": ROW.tolist()})[0], 200)

    def test_every_type_comes_back_as_it_went(self):
        for kind, _, _ in TYPES:
            info = np.iinfo(kind) if np.issubdtype(kind, np.integer) else None
            data = np.array([[info.min, info.max, 1] if info else [0, 1, 1]], kind)
            for content in (True, False):
                r = tfs.PredictRequest()
                r.model_spec.name = "echo-" + data.dtype.name
                r.inputs["x"].CopyFrom(tensor(data, content))
                got = array(self.prediction.Predict(r, timeout=20).outputs["y"])
                self.assertEqual(got.tobytes(), data.tobytes(), data.dtype)

    def test_strings_and_short_lists(self):
        r = tfs.PredictRequest()
        r.model_spec.name = "echo-text"
        t = r.inputs["x"]
        t.dtype = tf.DT_STRING
        for size in (2, 2):
            t.tensor_shape.dim.add(size=size)
        t.string_val.extend([b"\x00\xff", "signét".encode()])
        got = self.prediction.Predict(r, timeout=20).outputs["y"]
        self.assertEqual(list(got.string_val), [b"\x00\xff"] + ["signét".encode()] * 3)
        r = self.request()
        r.inputs["image"].tensor_content = b""
        r.inputs["image"].float_val.append(3)
        full = self.prediction.Predict(self.request(np.full([1, 64], 3, np.float32)), timeout=20)
        self.assertEqual(self.prediction.Predict(r, timeout=20), full)

    def test_errors_are_those_of_the_original(self):
        predict = self.prediction.Predict
        code = grpc.StatusCode
        self.fails(code.NOT_FOUND, predict, self.request(name="none"),
                   "Servable not found for request: Latest(none)")
        r = self.request()
        r.model_spec.version.value = 9
        self.fails(code.NOT_FOUND, predict, r, "Servable not found for request: Specific(digits, 9)")
        self.fails(code.INVALID_ARGUMENT, predict, self.request(version_label="x"),
                   "Unrecognized servable version label: x")
        self.fails(code.FAILED_PRECONDITION, predict, self.request(signature_name="s"),
                   'Serving signature key "s" not found.')
        r = self.request()
        r.inputs["extra"].CopyFrom(tensor(ROW))
        self.fails(code.INVALID_ARGUMENT, predict, r, "input size does not match signature: 2!=1",
                   "Sent extra: {extra}")
        r = self.request()
        r.output_filter.append("nothing")
        self.fails(code.INVALID_ARGUMENT, predict, r, "output tensor alias not found in signature: nothing")
        self.fails(code.INVALID_ARGUMENT, predict, self.request(ROW[:, :63]), "dimension 1 is 63")

    def test_numbers_come_in_tensor_content_where_configured(self):
        with start(**{"grpc.tensor_content": "true"}) as s:
            with grpc.insecure_channel("127.0.0.1:%d" % s.grpc_port) as channel:
                got = tfs_grpc.PredictionServiceStub(channel).Predict(self.request(), timeout=20)
        want = self.prediction.Predict(self.request(), timeout=20)
        for name in ("label", "probabilities"):
            self.assertEqual(got.outputs[name].tensor_content, array(want.outputs[name]).tobytes())

    # -- Classify, Regress, MultiInference -------------------------------------------------------

    EXAMPLES = [example(x=[1.0, 2.0, 3.0], other=[b"nobody's"]), example(x=[4, 5, 6])]

    def input(self):
        return tfs.Input(example_list=tfs.ExampleList(examples=self.EXAMPLES))

    def test_classify(self):
        r = tfs.ClassificationRequest(input=self.input())
        r.model_spec.name = "judge"
        got = self.prediction.Classify(r, timeout=20)
        rows = [[(c.label, c.score) for c in row.classes] for row in got.result.classifications]
        self.assertEqual(rows, [[("a", 1), ("b", 20), ("c", 300)], [("a", 4), ("b", 50), ("c", 600)]])
        self.assertEqual(got.model_spec.version.value, 5)

    def test_an_ordinary_classifier_classifies(self):
        r = tfs.ClassificationRequest()
        r.model_spec.name = "digits"
        r.input.example_list.examples.append(example(image=ROW[0].tolist()))
        got = self.prediction.Classify(r, timeout=20).result.classifications[0]
        want = self.prediction.Predict(self.request(), timeout=20).outputs["probabilities"]
        self.assertEqual([c.score for c in got.classes], list(want.float_val))

    def test_regress_with_a_context(self):
        r = tfs.RegressionRequest()
        r.model_spec.name = "judge"
        r.model_spec.signature_name = "regress"
        with_context = r.input.example_list_with_context
        with_context.context.CopyFrom(example(x=[1.0, 1.0, 1.0]))
        with_context.examples.extend([example(y=[1.0]), self.EXAMPLES[0], tf.Example()])
        got = self.prediction.Regress(r, timeout=20)
        self.assertEqual([g.value for g in got.result.regressions], [111, 321, 111])

    def test_multi_inference(self):
        r = tfs.MultiInferenceRequest(input=self.input())
        for signature, method in (("regress", "regress"), ("classify", "classify")):
            task = r.tasks.add(method_name="tensorflow/serving/" + method)
            task.model_spec.name, task.model_spec.signature_name = "judge", signature
        got = self.prediction.MultiInference(r, timeout=20).results
        self.assertEqual([g.value for g in got[0].regression_result.regressions], [321, 654])
        self.assertEqual(got[1].classification_result.classifications[1].classes[2].score, 600)
        self.assertEqual([g.model_spec.signature_name for g in got], ["regress", "classify"])
        for _ in range(50):
            self.prediction.MultiInference.future(r, timeout=20).cancel()
        self.assertEqual(len(self.prediction.MultiInference(r, timeout=20).results), 2)

    def test_rest_classifies_and_regresses_the_same(self):
        body = {"examples": [{"x": [1.0, 2, 3], "other": "nobody's"}, {"x": [4, 5, 6]}]}
        status, _, got = self.s.post("/v1/models/judge:classify", body)
        self.assertEqual((status, json.loads(got)), (200, {"results": [
            [["a", 1.0], ["b", 20.0], ["c", 300.0]], [["a", 4.0], ["b", 50.0], ["c", 600.0]]]}))
        body = {"signature_name": "regress", "context": {"x": [1, 1, 1]}, "examples": [{}, {"x": [1, 2, 3]}]}
        status, _, got = self.s.post("/v1/models/judge/versions/5:regress", body)
        self.assertEqual((status, json.loads(got)), (200, {"results": [111.0, 321.0]}))

    def test_examples_that_do_not_fit(self):
        for features, words in (({"x": [1.0, 2.0]}, "has 2 values"), ({"x": [b"a", b"b", b"c"]}, "Data types don't match"),
                                ({"y": [1.0]}, "is required but could not be found")):
            r = tfs.ClassificationRequest()
            r.model_spec.name = "judge"
            r.input.example_list.examples.append(example(**features))
            self.fails(grpc.StatusCode.INVALID_ARGUMENT, self.prediction.Classify, r, words)
        r = tfs.ClassificationRequest()
        r.model_spec.name = "judge"
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, self.prediction.Classify, r, "Input is empty")
        for body, words in (({"examples": []}, b"Input is empty"), ({}, b"Missing 'examples'"),
                            ({"examples": [{"x": [[1, 2, 3]]}]}, b"x"), ({"examples": [{"x": None}]}, b"x")):
            status, _, text = self.s.post("/v1/models/judge:classify", body)
            self.assertEqual(status, 400, text)
            self.assertIn(words, text)

    # -- metadata and status ---------------------------------------------------------------------

    def test_metadata(self):
        r = tfs.GetModelMetadataRequest(metadata_field=["signature_def"])
        r.model_spec.name = "digits"
        got = self.prediction.GetModelMetadata(r, timeout=20)
        signatures = tfs.SignatureDefMap()
        self.assertTrue(got.metadata["signature_def"].Unpack(signatures))
        self.assertEqual(got.metadata["signature_def"].type_url,
                         "type.googleapis.com/tensorflow.serving.SignatureDefMap")
        one = signatures.signature_def["serving_default"]
        self.assertEqual((one.inputs["image"].dtype, [d.size for d in one.inputs["image"].tensor_shape.dim]),
                         (tf.DT_FLOAT, [-1, 64]))
        self.assertEqual((one.method_name, sorted(one.outputs)),
                         ("tensorflow/serving/predict", ["label", "probabilities"]))
        rest = json.loads(self.s.call("GET", "/v1/models/digits/metadata")[2])
        rest = rest["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["image"]
        self.assertEqual(rest["name"], one.inputs["image"].name)
        for fields in ([], ["other"]):
            r = tfs.GetModelMetadataRequest(metadata_field=fields, model_spec=r.model_spec)
            self.fails(grpc.StatusCode.INVALID_ARGUMENT, self.prediction.GetModelMetadata, r, "metadata_field"
                       if not fields else "Metadata field other is not supported")

    def test_status(self):
        r = tfs.GetModelStatusRequest()
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, self.model.GetModelStatus, r, "Missing ModelSpec")
        r.model_spec.name = "judge"
        got = self.model.GetModelStatus(r, timeout=20).model_version_status
        self.assertEqual([(v.version, v.state, v.status.error_code) for v in got],
                         [(5, tfs.ModelVersionStatus.AVAILABLE, 0)])
        r.model_spec.version.value = 6
        self.fails(grpc.StatusCode.NOT_FOUND, self.model.GetModelStatus, r,
                   "Could not find version 6 of model judge")
        r.model_spec.name = "none"
        r.model_spec.ClearField("version")
        self.fails(grpc.StatusCode.NOT_FOUND, self.model.GetModelStatus, r,
                   "Could not find any versions of model none")

    def test_reload_needs_permission(self):
        self.fails(grpc.StatusCode.UNAVAILABLE, self.model.HandleReloadConfigRequest,
                   tfs.ReloadConfigRequest(), "not allowed")


def tensorflow_messages():
    """A package tensorflow of messages alone, made from our files under the original's names."""
    folder = tempfile.mkdtemp(prefix="signet-test-")
    proto = os.path.join(signet.TREE, "proto")
    files = {"tensorflow/core/framework/tensor": open(os.path.join(proto, "tensorflow.proto")).read(),
             "xla/tsl/protobuf/error_codes": open(os.path.join(proto, "tensorflow_error.proto")).read()}
    for name, of in (("tensorflow/core/example/example", "tensorflow/core/framework/tensor"),
                     ("tensorflow/core/protobuf/meta_graph", "tensorflow/core/framework/tensor"),
                     ("tensorflow/core/protobuf/error_codes", "xla/tsl/protobuf/error_codes")):
        files[name] = 'syntax = "proto3";\nimport public "%s.proto";\n' % of
    for name, text in files.items():
        os.makedirs(os.path.join(folder, os.path.dirname(name)), exist_ok=True)
        with open(os.path.join(folder, name + ".proto"), "w") as f:
            f.write(text)
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I" + folder, "--python_out=" + folder,
                    *[name + ".proto" for name in files]], check=True)
    return folder


class PublishedClient(unittest.TestCase):
    def test_tensorflow_serving_api_works_unchanged(self):
        client = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tfs_api_client.py")
        with Server(grpc=True, options={"grpc.allow_admin": "true"}) as s:
            done = subprocess.run([sys.executable, client, "127.0.0.1:%d" % s.grpc_port, s.root], timeout=120,
                                  env={**os.environ, "PYTHONPATH": tensorflow_messages()},
                                  capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


class Dialects(unittest.TestCase):
    def test_one_model_answers_the_same_over_all_five(self):
        """Bit for bit where the wire is binary; as the float32 that it says where it is text."""
        rng = np.random.default_rng(7)
        rows = np.concatenate([ROW, rng.uniform(0, 16, [16, 64]).astype(np.float32)])
        with Server(grpc=True) as s:
            for row in rows:
                answers = list(self.ask(s, row.reshape(1, 64)))
                for name, label, probabilities in answers[1:]:
                    self.assertEqual(label, answers[0][1], name)
                    self.assertEqual(probabilities.tobytes(), answers[0][2].tobytes(), name)

    def ask(self, s, row):
        """(dialect, label, probabilities)"""
        values = row[0].tolist()
        for dialect, module, port in (("v2-binary", triton_http, s.port), ("grpc-v2", triton, s.grpc_port)):
            with module.InferenceServerClient("127.0.0.1:%d" % port) as c:
                t = module.InferInput("image", [1, 64], "FP32")
                t.set_data_from_numpy(row)
                outputs = [module.InferRequestedOutput(n) for n in ("label", "probabilities")]
                got = c.infer("digits", [t], outputs=outputs)
                yield dialect, int(got.as_numpy("label")[0]), got.as_numpy("probabilities")[0]
        with grpc.insecure_channel("127.0.0.1:%d" % s.grpc_port) as channel:
            r = tfs.PredictRequest()
            r.model_spec.name = "digits"
            r.inputs["image"].CopyFrom(tensor(row))
            got = tfs_grpc.PredictionServiceStub(channel).Predict(r, timeout=20).outputs
            yield "grpc-tfs", int(array(got["label"])[0]), array(got["probabilities"])[0]
        got = json.loads(s.post("/v1/models/digits:predict", {"instances": [values]})[2])["predictions"][0]
        yield "v1", got["label"], np.array(got["probabilities"], np.float32)
        body = {"inputs": [{"name": "image", "shape": [1, 64], "datatype": "FP32", "data": values}]}
        got = {o["name"]: o["data"] for o in json.loads(s.post("/v2/models/digits/infer", body)[2])["outputs"]}
        yield "v2", got["label"][0], np.array(got["probabilities"], np.float32)


class Reload(unittest.TestCase):
    """HandleReloadConfigRequest: another set of models."""

    def setUp(self):
        self.s = start(**{"grpc.allow_admin": "true"})
        self.s.add("judge", "5", data=judge())
        self.s.add("judge", "6", data=judge())
        self.s.wait_ready("/v2/models/judge/versions/6/ready")
        self.channel = grpc.insecure_channel("127.0.0.1:%d" % self.s.grpc_port)
        self.model = tfs_grpc.ModelServiceStub(self.channel)

    def tearDown(self):
        self.channel.close()
        self.assertEqual(self.s.stop(), 0, self.s.log)

    def states(self, model):
        r = tfs.GetModelStatusRequest()
        r.model_spec.name = model
        got = self.model.GetModelStatus(r, timeout=20).model_version_status
        return {v.version: tfs.ModelVersionStatus.State.Name(v.state) for v in got}

    def reload(self, *configs):
        r = tfs.ReloadConfigRequest()
        r.config.model_config_list.config.extend(configs)
        return self.model.HandleReloadConfigRequest(r, timeout=30)

    def config(self, name, **more):
        c = tfs.ModelConfig(name=name, base_path=os.path.join(self.s.root, name), model_platform="tensorflow")
        for key, value in more.items():
            setattr(c, key, value)
        return c

    def refuses(self, code, *configs):
        with self.assertRaises(grpc.RpcError) as caught:
            self.reload(*configs)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        self.assertEqual(self.states("judge")[6], "AVAILABLE")
        self.assertEqual(self.states("digits")[1], "AVAILABLE")
        return caught.exception.details()

    def test_versions_and_labels_become_what_the_set_says(self):
        c = self.config("judge")
        c.model_version_policy.specific.versions.extend([5, 6])
        c.version_labels["old"] = 5
        self.assertEqual(self.reload(c, self.config("digits")).status.error_code, 0)
        self.assertEqual(self.states("judge"), {5: "AVAILABLE", 6: "AVAILABLE"})
        r = tfs.PredictRequest()
        r.model_spec.name, r.model_spec.version_label = "judge", "old"
        r.inputs["x"].CopyFrom(tensor(np.ones([1, 3], np.float32)))
        got = tfs_grpc.PredictionServiceStub(self.channel).Predict(r, timeout=20)
        self.assertEqual(got.model_spec.version.value, 5)
        # The signatures of its section are still there.
        r.model_spec.signature_name = "regress"
        tfs_grpc.PredictionServiceStub(self.channel).Predict(r, timeout=20)

    def test_what_is_not_in_the_set_is_unloaded(self):
        self.reload(self.config("judge"))
        self.assertEqual(self.states("judge")[6], "AVAILABLE")
        self.s.wait_ready("/v2/health/ready")
        with self.assertRaises(RuntimeError):
            self.s.wait_ready("/v2/models/digits/ready", timeout=1)
        self.reload(self.config("judge", base_path=""), self.config("digits"))
        self.assertEqual(self.states("digits"), {1: "AVAILABLE"})

    def test_a_set_that_is_wrong_anywhere_changes_nothing(self):
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        good = self.config("digits")
        self.assertIn("multiple times", self.refuses(invalid, good, good))
        for path in ("/etc", self.s.root, os.path.join(self.s.root, "judge", ".."), "relative",
                     os.path.join(self.s.root, "digits", "1"), "gs://bucket/digits"):
            self.assertIn("base_path", self.refuses(invalid, good, self.config("judge", base_path=path)))
        self.assertIn("no such directory", self.refuses(
            grpc.StatusCode.NOT_FOUND, good, self.config("nobody")))
        self.assertIn("model name", self.refuses(invalid, good, self.config("a/b")))
        c = self.config("judge")
        c.logging_config.log_collector_config.type = "file"
        self.assertIn("logging_config", self.refuses(invalid, c))
        r = tfs.ReloadConfigRequest()
        r.config.custom_model_config.type_url = "x"
        with self.assertRaises(grpc.RpcError) as caught:
            self.model.HandleReloadConfigRequest(r, timeout=20)
        self.assertIn("not supported", caught.exception.details())

    def test_a_label_of_a_version_that_is_not_there(self):
        c = self.config("judge")
        c.version_labels["new"] = 7
        self.assertIn("Request to assign label to version 7 of model judge",
                      self.refuses(grpc.StatusCode.FAILED_PRECONDITION, c, self.config("digits")))


if __name__ == "__main__":
    unittest.main()
