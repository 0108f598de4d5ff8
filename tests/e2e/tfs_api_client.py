# SPDX-License-Identifier: Apache-2.0
"""PyPI's tensorflow-serving-api talks to a daemon that serves digits and allows admin.

usage: tfs_api_client.py HOST:PORT MODEL_ROOT

A program of its own: its messages have the names of those that test_grpc_tfs.py made from our
.proto files, and a process has one pool of names. Of the package tensorflow it needs messages
alone, which the caller has put into PYTHONPATH.
"""
import os
import sys

import grpc
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2, model_management_pb2,
    model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc, regression_pb2)

DT_FLOAT = 1


def set_row(tensor):
    tensor.CopyFrom(tensor_pb2.TensorProto(dtype=DT_FLOAT, float_val=[float(i % 17) for i in range(64)]))
    for size in (1, 64):
        tensor.tensor_shape.dim.add(size=size)


def add_example(given):
    values = given.example_list.examples.add().features.feature["image"].float_list.value
    values.extend(float(i % 17) for i in range(64))


def main(address, root):
    channel = grpc.insecure_channel(address)
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    model = model_service_pb2_grpc.ModelServiceStub(channel)

    r = predict_pb2.PredictRequest()
    r.model_spec.name = "digits"
    set_row(r.inputs["image"])
    r.output_filter.append("probabilities")
    # Fields of the original that we do not have in our files.
    r.client_id = b"me"
    r.request_options.client_id = b"me"
    r.predict_streamed_options.split_dimensions["image"] = 1
    probabilities = list(prediction.Predict(r, timeout=20).outputs["probabilities"].float_val)
    assert len(probabilities) == 10 and abs(sum(probabilities) - 1) < 1e-5, probabilities

    r = classification_pb2.ClassificationRequest()
    r.model_spec.name = "digits"
    add_example(r.input)
    got = prediction.Classify(r, timeout=20).result.classifications[0]
    assert [c.score for c in got.classes] == probabilities, got

    r = inference_pb2.MultiInferenceRequest()
    r.tasks.add(method_name="tensorflow/serving/classify").model_spec.name = "digits"
    add_example(r.input)
    got = prediction.MultiInference(r, timeout=20).results[0].classification_result.classifications[0]
    assert [c.score for c in got.classes] == probabilities, got

    r = regression_pb2.RegressionRequest()
    r.model_spec.name = "digits"
    add_example(r.input)
    try:
        prediction.Regress(r, timeout=20)
        raise AssertionError("ten values are no regression")
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.INVALID_ARGUMENT, e

    r = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    r.model_spec.name = "digits"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert prediction.GetModelMetadata(r, timeout=20).metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["image"].dtype == DT_FLOAT, signatures

    r = model_management_pb2.ReloadConfigRequest()
    config = r.config.model_config_list.config.add(name="digits", base_path=os.path.join(root, "digits"))
    config.model_version_policy.specific.versions.append(1)
    config.version_labels["stable"] = 1
    assert model.HandleReloadConfigRequest(r, timeout=20).status.error_code == 0

    r = get_model_status_pb2.GetModelStatusRequest()
    r.model_spec.name = "digits"
    status = model.GetModelStatus(r, timeout=20).model_version_status
    assert [(v.version, v.state) for v in status] == [(1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)]
    channel.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
