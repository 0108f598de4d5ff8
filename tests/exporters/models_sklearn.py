#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Estimators fitted to random tables: of scikit-learn, written by skl2onnx, and boosted trees, by onnxmltools.

usage: models_sklearn.py DIR [sklearn|boosting|FOLDER/NAME...]      writes DIR/FOLDER/NAME.onnx; all of them when none is given
Needs scikit-learn, skl2onnx, onnxmltools, xgboost, lightgbm, catboost.
"""
import pathlib
import sys
import warnings

import catboost
import lightgbm
import numpy as np
import onnxmltools
import skl2onnx
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as BoostedTensorType
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn import (calibration, cluster, compose, cross_decomposition, decomposition, discriminant_analysis, ensemble, feature_extraction,
                     feature_selection, gaussian_process, impute, linear_model, mixture, multiclass,
                     naive_bayes, neighbors, neural_network, pipeline, preprocessing, random_projection, svm, tree)
from write import write_all

OPSETS = {"": 20, "ai.onnx.ml": 3}
ROWS, COLUMNS = 400, 12
RNG = np.random.default_rng(1)
X = RNG.standard_normal((ROWS, COLUMNS)).astype(np.float32)
SCORE = X[:, 0] - X[:, 1] * X[:, 2] + 0.1 * RNG.standard_normal(ROWS)
LABEL = np.digitize(SCORE, [-0.5, 0.5])
COUNTS = RNG.integers(0, 5, (ROWS, COLUMNS)).astype(np.float32)
WORDS = RNG.choice(["the", "Quick", "brown fox", "jumps", "dog"], (ROWS, 3)).astype(object)

CLASSIFIERS = {
    "ada_boost": lambda: ensemble.AdaBoostClassifier(n_estimators=20), "bagging": lambda: ensemble.BaggingClassifier(n_estimators=5),
    "bernoulli_nb": naive_bayes.BernoulliNB, "calibrated": lambda: calibration.CalibratedClassifierCV(linear_model.LogisticRegression()),
    "decision_tree": tree.DecisionTreeClassifier, "extra_trees": lambda: ensemble.ExtraTreesClassifier(n_estimators=50),
    "gaussian_nb": naive_bayes.GaussianNB, "gradient_boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=30),
    "hist_gradient_boosting": lambda: ensemble.HistGradientBoostingClassifier(max_iter=30), "knn": neighbors.KNeighborsClassifier,
    "lda": discriminant_analysis.LinearDiscriminantAnalysis, "linear_svc": svm.LinearSVC, "logistic": linear_model.LogisticRegression,
    "logistic_cv": lambda: linear_model.LogisticRegressionCV(l1_ratios=(0,), use_legacy_attributes=False),
    "mlp": lambda: neural_network.MLPClassifier((64, 32), max_iter=30), "nearest_centroid": neighbors.NearestCentroid,
    "one_vs_rest": lambda: multiclass.OneVsRestClassifier(linear_model.LogisticRegression()),
    "perceptron": linear_model.Perceptron, "qda": discriminant_analysis.QuadraticDiscriminantAnalysis,
    "random_forest": lambda: ensemble.RandomForestClassifier(n_estimators=100), "ridge": linear_model.RidgeClassifier,
    "sgd": lambda: linear_model.SGDClassifier(loss="log_loss"), "svc": svm.SVC, "svc_linear": lambda: svm.SVC(kernel="linear"),
    "nu_svc": lambda: svm.NuSVC(nu=0.2), "stacking": lambda: ensemble.StackingClassifier([("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=4))]),
    "voting": lambda: ensemble.VotingClassifier([("a", linear_model.LogisticRegression()), ("b", naive_bayes.GaussianNB())], voting="soft", flatten_transform=False),
    "scaled_logistic": lambda: pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()),
    "selected_forest": lambda: pipeline.make_pipeline(feature_selection.SelectKBest(k=5), ensemble.RandomForestClassifier(n_estimators=10)),
}
REGRESSORS = {
    "ada_boost_regressor": lambda: ensemble.AdaBoostRegressor(n_estimators=10), "ard": linear_model.ARDRegression,
    "bagging_regressor": lambda: ensemble.BaggingRegressor(n_estimators=5), "bayesian_ridge": linear_model.BayesianRidge,
    "decision_tree_regressor": tree.DecisionTreeRegressor, "elastic_net": linear_model.ElasticNet,
    "extra_trees_regressor": lambda: ensemble.ExtraTreesRegressor(n_estimators=50),
    "gaussian_process": lambda: gaussian_process.GaussianProcessRegressor(gaussian_process.kernels.RBF() + gaussian_process.kernels.WhiteKernel()),
    "gradient_boosting_regressor": ensemble.GradientBoostingRegressor, "hist_gradient_boosting_regressor": lambda: ensemble.HistGradientBoostingRegressor(max_iter=30),
    "huber": lambda: linear_model.HuberRegressor(max_iter=1000), "knn_regressor": neighbors.KNeighborsRegressor, "lars": linear_model.Lars,
    "lasso": linear_model.Lasso, "linear": linear_model.LinearRegression, "linear_svr": svm.LinearSVR,
    "mlp_regressor": lambda: neural_network.MLPRegressor(hidden_layer_sizes=(64,), max_iter=30), "nu_svr": svm.NuSVR, "pls": lambda: cross_decomposition.PLSRegression(2),
    "poisson": lambda: linear_model.TweedieRegressor(power=0), "polynomial": lambda: pipeline.make_pipeline(preprocessing.PolynomialFeatures(2), linear_model.Ridge()),
    "quantile": linear_model.QuantileRegressor, "random_forest_regressor": lambda: ensemble.RandomForestRegressor(n_estimators=100),
    "ransac": lambda: linear_model.RANSACRegressor(random_state=1), "ridge_regressor": linear_model.Ridge, "sgd_regressor": linear_model.SGDRegressor,
    "svr": svm.SVR, "theil_sen": lambda: linear_model.TheilSenRegressor(max_iter=20),
}
TRANSFORMERS = {
    "binarizer": preprocessing.Binarizer, "fast_ica": lambda: decomposition.FastICA(4), "imputer": impute.SimpleImputer,
    "incremental_pca": lambda: decomposition.IncrementalPCA(4), "k_bins": lambda: preprocessing.KBinsDiscretizer(4, encode="onehot", quantile_method="averaged_inverted_cdf"),
    "kernel_pca": lambda: decomposition.KernelPCA(4, kernel="rbf"), "knn_imputer": impute.KNNImputer, "max_abs": preprocessing.MaxAbsScaler,
    "min_max": preprocessing.MinMaxScaler, "normalizer": preprocessing.Normalizer, "pca": lambda: decomposition.PCA(4),
    "polynomial_features": preprocessing.PolynomialFeatures, "power": preprocessing.PowerTransformer, "quantile_transformer": lambda: preprocessing.QuantileTransformer(n_quantiles=100),
    "random_projection": lambda: random_projection.GaussianRandomProjection(4), "robust": preprocessing.RobustScaler,
    "standard": preprocessing.StandardScaler, "svd": lambda: decomposition.TruncatedSVD(4), "variance": feature_selection.VarianceThreshold,
    "union": lambda: pipeline.make_union(preprocessing.StandardScaler(), decomposition.PCA(2)),
}
UNSUPERVISED = {
    "kmeans": lambda: cluster.KMeans(4, n_init=1), "mini_batch_kmeans": lambda: cluster.MiniBatchKMeans(4, n_init=1),
    "gaussian_mixture": lambda: mixture.GaussianMixture(3), "bayesian_mixture": lambda: mixture.BayesianGaussianMixture(n_components=3),
    "isolation_forest": lambda: ensemble.IsolationForest(n_estimators=50), "one_class_svm": svm.OneClassSVM, "outliers": lambda: neighbors.LocalOutlierFactor(novelty=True),
}


def floats(make, *target):
    def fit():
        fitted = make().fit(X, *target)
        classifies = hasattr(fitted, "classes_") and not isinstance(fitted, svm.LinearSVC)  # arrays instead of maps
        return skl2onnx.to_onnx(fitted, initial_types=[("x", FloatTensorType([None, COLUMNS]))], target_opset=OPSETS,
                                options={id(fitted): {"zipmap": False}} if classifies else None)
    return fit


def table():
    """Columns of numbers and of words, each with its own steps, as a frame has them."""
    import pandas
    frame = pandas.DataFrame(X[:, :4], columns=list("abcd")).assign(e=WORDS[:, 0], f=WORDS[:, 1])
    steps = compose.ColumnTransformer([("n", pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler()), list("abcd")),
                                       ("w", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["e", "f"])])
    fitted = pipeline.make_pipeline(steps, linear_model.LogisticRegression()).fit(frame, LABEL)
    types = [(c, FloatTensorType([None, 1])) for c in "abcd"] + [(c, StringTensorType([None, 1])) for c in "ef"]
    return skl2onnx.to_onnx(fitted, initial_types=types, target_opset=OPSETS, options={id(fitted): {"zipmap": False}})


def words(make, columns=3):
    values = WORDS if columns == 3 else WORDS[:, 0]
    kind = StringTensorType([None, columns] if columns == 3 else [None])
    return lambda: skl2onnx.to_onnx(make().fit(values), initial_types=[("x", kind)], target_opset=OPSETS)


def integers(make):
    return lambda: skl2onnx.to_onnx(make().fit(COUNTS.astype(np.int64)), initial_types=[("x", Int64TensorType([None, COLUMNS]))], target_opset=OPSETS)


def counted(make):
    def fit():
        fitted = make().fit(COUNTS, LABEL)
        return skl2onnx.to_onnx(fitted, initial_types=[("x", FloatTensorType([None, COLUMNS]))], target_opset=OPSETS, options={id(fitted): {"zipmap": False}})
    return fit


def boosted(make, convert, target):
    def fit():
        return convert(make().fit(X, target), initial_types=[("x", BoostedTensorType([None, COLUMNS]))], target_opset=15)
    return fit


def cat(make, target):
    def fit():
        path = pathlib.Path(sys.argv[1]) / f"cat_{make.__name__}.tmp"
        make(iterations=50, verbose=False, allow_writing_files=False).fit(X, target).save_model(str(path), format="onnx")
        import onnx
        model = onnx.load(path)
        path.unlink()
        return model
    return fit


MODELS = {f"sklearn/{name}": floats(make, LABEL) for name, make in CLASSIFIERS.items()}
MODELS |= {f"sklearn/{name}": floats(make, SCORE) for name, make in REGRESSORS.items()}
MODELS |= {f"sklearn/{name}": floats(make, LABEL) for name, make in TRANSFORMERS.items()}
MODELS |= {f"sklearn/{name}": floats(make) for name, make in UNSUPERVISED.items()}
MODELS |= {f"sklearn/{name}": counted(make) for name, make in {"multinomial_nb": naive_bayes.MultinomialNB, "complement_nb": naive_bayes.ComplementNB,
                                                                "categorical_nb": lambda: naive_bayes.CategoricalNB(min_categories=10)}.items()}
MODELS |= {
    "sklearn/one_hot": words(lambda: preprocessing.OneHotEncoder(handle_unknown="ignore")),
    "sklearn/ordinal": words(lambda: preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
    "sklearn/label": words(preprocessing.LabelEncoder, 1),
    "sklearn/one_hot_integers": integers(lambda: preprocessing.OneHotEncoder(handle_unknown="ignore")),
    "sklearn/text_counts": words(lambda: feature_extraction.text.CountVectorizer(ngram_range=(1, 2)), 1),
    "sklearn/text_tfidf": words(feature_extraction.text.TfidfVectorizer, 1),
    "sklearn/table": table,
    "boosting/xgboost": boosted(lambda: xgboost.XGBClassifier(n_estimators=50), onnxmltools.convert_xgboost, LABEL),
    "boosting/xgboost_regressor": boosted(lambda: xgboost.XGBRegressor(n_estimators=50), onnxmltools.convert_xgboost, SCORE),
    "boosting/xgboost_forest": boosted(lambda: xgboost.XGBRFRegressor(n_estimators=20), onnxmltools.convert_xgboost, SCORE),
    "boosting/lightgbm": boosted(lambda: lightgbm.LGBMClassifier(n_estimators=50, verbose=-1), onnxmltools.convert_lightgbm, LABEL),
    "boosting/lightgbm_regressor": boosted(lambda: lightgbm.LGBMRegressor(n_estimators=50, verbose=-1), onnxmltools.convert_lightgbm, SCORE),
    "boosting/catboost": cat(catboost.CatBoostClassifier, LABEL),
    "boosting/catboost_regressor": cat(catboost.CatBoostRegressor, SCORE),
}


def write(fit, path):
    pathlib.Path(path).parent.mkdir(exist_ok=True)
    pathlib.Path(path).write_bytes(fit().SerializeToString())


def main():
    warnings.filterwarnings("ignore")
    write_all(sys.argv, MODELS, write)


if __name__ == "__main__":
    main()
