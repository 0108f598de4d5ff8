# SPDX-License-Identifier: Apache-2.0
"""proto/onnx.proto against the onnx package: names, numbers, types, labels, enum values."""
import subprocess

import pytest
from google.protobuf import descriptor_pb2
from onnx import onnx_data_pb2, onnx_ml_pb2


@pytest.fixture
def ours(tree, tmp_path):
    out = tmp_path / "onnx.bin"
    subprocess.run(["protoc-c", f"--descriptor_set_out={out}", f"-I{tree}/proto",
                    f"{tree}/proto/onnx.proto"], check=True)
    return described(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)


@pytest.fixture
def theirs():
    files = []
    for module in (onnx_ml_pb2, onnx_data_pb2):
        proto = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(proto)
        files.append(proto)
    return described(files)


def described(files):
    """{"onnx.TensorProto.dims": (number, type, label, packed), "onnx.X enum Y": number, ...}"""
    found = {}

    def enums(prefix, list_of_enums):
        for e in list_of_enums:
            for v in e.value:
                found[f"{prefix}.{e.name}.{v.name}"] = v.number

    def message(prefix, m):
        name = f"{prefix}.{m.name}"
        enums(name, m.enum_type)
        for f in m.field:
            oneof = m.oneof_decl[f.oneof_index].name if f.HasField("oneof_index") else None
            found[f"{name}.{f.name}"] = (f.number, f.type, f.type_name, f.label, f.options.packed,
                                         oneof)
        for r in m.reserved_range:
            found[f"{name} reserves {r.start}"] = r.end
        for n in m.nested_type:
            message(name, n)

    for f in files:
        assert f.package == "onnx"
        enums("onnx", f.enum_type)
        for m in f.message_type:
            message("onnx", m)
    return found


def test_our_messages_are_those_of_the_onnx_package(ours, theirs):
    assert len(theirs) > 200
    assert {k: v for k, v in ours.items() if theirs.get(k) != v} == {}
    assert sorted(theirs.keys() - ours.keys()) == []
