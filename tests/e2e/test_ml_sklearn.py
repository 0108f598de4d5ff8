# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's models, converted by skl2onnx, served, against their own predictions.

Classifiers come as converters leave them: labels of strings, probabilities in a ZipMap.
"""
import ml_cases
import numpy as np
import onnx
import pytest
import signet
import skl2onnx
import skl2onnx.common._container as container
import sklearn.datasets
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (GradientBoostingClassifier, GradientBoostingRegressor,
                              HistGradientBoostingClassifier, HistGradientBoostingRegressor,
                              RandomForestClassifier, RandomForestRegressor)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR

make_node = container.make_node


def plain(v):
    """An attribute's value as Python's own: skl2onnx 1.20 leaves NumPy's numbers in lists."""
    if isinstance(v, (list, np.ndarray)):
        return [plain(i) for i in v]
    v = v.item() if isinstance(v, np.generic) else v
    return int(v) if isinstance(v, bool) else v


def to_onnx(model, *args, **kwargs):
    container.make_node = lambda *a, **k: make_node(*a, **{n: plain(v) for n, v in k.items()})
    return skl2onnx.to_onnx(model, *args, **kwargs)


NAMES = np.array(["setosa", "versicolor", "virginica"])
RANDOM = 3


def iris(classes=3):
    x, y = sklearn.datasets.load_iris(return_X_y=True)
    keep = y < classes
    return x[keep].astype(np.float32), NAMES[y[keep]]


def diabetes():
    x, y = sklearn.datasets.load_diabetes(return_X_y=True)
    return x.astype(np.float32), y.astype(np.float32)


CLASSIFIERS = {
    "forest": RandomForestClassifier(25, random_state=RANDOM),
    "boosting": GradientBoostingClassifier(n_estimators=20, random_state=RANDOM),
    "hist-boosting": HistGradientBoostingClassifier(max_iter=20, random_state=RANDOM),
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "normalized": make_pipeline(Normalizer(), LogisticRegression()),
    "svc": SVC(probability=True, random_state=RANDOM),
}
REGRESSORS = {
    "forest": RandomForestRegressor(25, random_state=RANDOM),
    "boosting": GradientBoostingRegressor(n_estimators=20, random_state=RANDOM),
    "hist-boosting": HistGradientBoostingRegressor(max_iter=20, random_state=RANDOM),
    "linear": LinearRegression(),
    "svr": SVR(C=10),
}


class Served:
    """A daemon with one model."""

    def __init__(self, model, path):
        onnx.save(model, path / "model.onnx")
        self.models = signet.Models()
        self.models.add("it", 1, path / "model.onnx")
        self.daemon = signet.Daemon("--model-root", self.models.path, "--grpc", "off").ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.daemon.stop()
        self.models.close()

    def post(self, path, body):
        status, _, reply = self.daemon.request("POST", path, body)
        assert status == 200, reply
        return signet.json.loads(reply)

    def infer(self, inputs, **parameters):
        """Outputs by name, in their shapes. inputs: arrays."""
        body = {"inputs": [{"name": n, "shape": list(v.shape), "data": v.ravel().tolist(),
                            "datatype": "BYTES" if v.dtype == object else "FP32"}
                           for n, v in inputs.items()], **parameters}
        reply = self.post("/v2/models/it/infer", body)
        return {o["name"]: np.array(o["data"], object if o["datatype"] == "BYTES" else None)
                .reshape(o["shape"]) for o in reply["outputs"]}


def same_labels(model, x, got):
    """Where two classes are as good as equal either may win."""
    p = np.sort(model.predict_proba(x), axis=1)
    sure = p[:, -1] - p[:, -2] > 1e-4
    return sure.mean() > 0.9 and (model.predict(x) == got)[sure].all()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_say_what_they_say_at_home(name, classes, tmp_path):
    x, y = iris(classes)
    model = sklearn.base.clone(CLASSIFIERS[name]).fit(x, y)
    with Served(to_onnx(model, x[:1]), tmp_path) as it:
        out = it.infer({"X": x})
    assert same_labels(model, x, out["output_label"])
    np.testing.assert_allclose(out["output_probability"].astype(float), model.predict_proba(x),
                               rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_say_what_they_say_at_home(name, tmp_path):
    x, y = diabetes()
    model = sklearn.base.clone(REGRESSORS[name]).fit(x, y)
    with Served(to_onnx(model, x[:1]), tmp_path) as it:
        out = it.infer({"X": x})
    np.testing.assert_allclose(out["variable"].astype(float).ravel(), model.predict(x), rtol=1e-4)


def passengers():
    """Columns of numbers, some of which are missing, and of words."""
    rng = np.random.default_rng(RANDOM)
    age = rng.uniform(1, 80, (200, 1)).astype(np.float32)
    age[rng.random(200) < 0.2] = np.nan
    fare = rng.exponential(30, (200, 1)).astype(np.float32)
    port = rng.choice(["Cherbourg", "Queenstown", "Zürich"], (200, 1)).astype(object)
    lived = np.where(fare[:, 0] + rng.normal(0, 20, 200) > 30, "yes", "no")
    return {"age": age, "fare": fare, "port": port}, lived


def test_a_pipeline_of_columns_is_served_with_words_and_labels(tmp_path):
    columns, lived = passengers()
    table = np.concatenate([columns["age"], columns["fare"], columns["port"]], axis=1)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    model = make_pipeline(
        ColumnTransformer([("numbers", numbers, [0, 1]),
                           ("words", OneHotEncoder(handle_unknown="ignore"), [2])]),
        RandomForestClassifier(20, max_depth=4, random_state=RANDOM)).fit(table, lived)
    types = [("age", FloatTensorType([None, 1])), ("fare", FloatTensorType([None, 1])),
             ("port", StringTensorType([None, 1]))]
    onnx_model = to_onnx(model, initial_types=types)

    with Served(onnx_model, tmp_path) as it:
        known = {n: v[~np.isnan(columns["age"][:, 0])] for n, v in columns.items()}
        out = it.infer(known)
        rows = np.concatenate(list(known.values()), axis=1)
        assert same_labels(model, rows, out["output_label"])
        np.testing.assert_allclose(out["output_probability"].astype(float),
                                   model.predict_proba(rows), rtol=1e-4, atol=1e-5)
        # JSON has no NaN; the wire of TensorFlow Serving takes rows.
        row = {"age": [30.0], "fare": [99.5], "port": ["Zürich"]}
        answer = it.post("/v1/models/it:predict", {"instances": [row]})["predictions"][0]
        assert answer["output_label"] == model.predict(np.array([[30.0, 99.5, "Zürich"]], object))[0]


def test_a_pipeline_on_text_takes_text(tmp_path):
    rng = np.random.default_rng(RANDOM)
    good, bad, any_ = ["fine", "good", "great"], ["bad", "poor", "awful"], ["day", "news", "film", "very"]
    texts = [" ".join(rng.choice(words + any_, 6)) + "!" for words in [good, bad] * 20]
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(texts, ["+", "-"] * 20)
    onnx_model = to_onnx(model, initial_types=[("text", StringTensorType([None, 1]))])
    asked = np.array([*texts[:6], "A GREAT film, poor day", "", "unheard-of"], dtype=object)
    with Served(onnx_model, tmp_path) as it:
        out = it.infer({"text": asked.reshape(-1, 1)})
    assert same_labels(model, asked, out["output_label"])
    np.testing.assert_allclose(out["output_probability"].astype(float), model.predict_proba(asked),
                               rtol=1e-4, atol=1e-5)


def test_labels_of_a_zip_map_are_told(tmp_path):
    x, y = iris()
    model = RandomForestClassifier(5, random_state=RANDOM).fit(x, y)
    with Served(to_onnx(model, x[:1]), tmp_path) as it:
        outputs = it.daemon.get("/v2/models/it")[1]["outputs"]
        assert outputs[1] == {"name": "output_probability", "datatype": "FP32", "shape": [-1, 3],
                              "labels": NAMES.tolist()}
        top = it.infer({"X": x[:1]}, outputs=[{"name": "output_probability",
                                               "parameters": {"classification": 1}}])
        assert top["output_probability"][0, 0].split(":")[1:] == ["0", "setosa"]
        scored = it.post("/v1/models/it:classify", {"examples": [{"X": x[0].tolist()}]})["results"][0]
        assert [label for label, _ in scored] == NAMES.tolist()


def test_a_compiled_model_has_the_same_interface(signetctl, tmp_path):
    x, y = iris()
    model = to_onnx(RandomForestClassifier(5, random_state=RANDOM).fit(x, y), x[:1])
    with Served(model, tmp_path) as it:
        outputs = it.daemon.get("/v2/models/it")[1]["outputs"]
    native = tmp_path / "root" / "it" / "1"
    native.mkdir(parents=True)
    signetctl("compile", tmp_path / "model.onnx", "-o", native / "model.signet")
    daemon = signet.Daemon("--model-root", str(tmp_path / "root"), "--grpc", "off").ready()
    try:
        assert daemon.get("/v2/models/it")[1]["outputs"] == outputs
    finally:
        daemon.stop()


def test_a_request_with_a_map_is_refused_by_name(tmp_path):
    model, _, _ = next(ml_cases.dict_vectorizer(np.random.default_rng(1)))
    with Served(model, tmp_path) as it:
        body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
        status, _, reply = it.daemon.request("POST", "/v2/models/it/infer", body)
    assert status == 501
    assert b"input 'x' is a map(int64,float32), which requests and replies have no form for" in reply
