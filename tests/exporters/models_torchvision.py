#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models of torchvision with random weights, written by both exporters of PyTorch.

usage: models_torchvision.py DIR [vision_script|vision_dynamo|FOLDER/NAME...]      writes DIR/FOLDER/NAME.onnx; all of
       them when none is given
Needs torch, torchvision, onnx, onnxscript.
"""
import torch
import torchvision
from torch_export import Spec, image, main

CLASSIFIERS = ("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "mnasnet1_0",
               "maxvit_t", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "regnet_x_400mf", "regnet_y_400mf",
               "resnet18", "resnet50", "resnext50_32x4d", "shufflenet_v2_x1_0", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11",
               "vit_b_16")
SEGMENTATION = ("deeplabv3_mobilenet_v3_large", "fcn_resnet50", "lraspp_mobilenet_v3_large")
DETECTION = ("fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn", "keypointrcnn_resnet50_fpn",
             "maskrcnn_resnet50_fpn", "retinanet_resnet50_fpn", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large")
VIDEO = ("mc3_18", "mvit_v1_b", "mvit_v2_s", "r2plus1d_18", "r3d_18", "s3d", "swin3d_t")


class Images(torch.nn.Module):
    """The images of a batch, which detectors want as a list."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, x):
        return tuple(self.detector(list(x.unbind()))[0].values())


class Flow(torch.nn.Module):
    """The last of the estimates."""

    def __init__(self, raft):
        super().__init__()
        self.raft = raft

    def forward(self, a, b):
        return self.raft(a, b, num_flow_updates=4)[-1]


class Out(torch.nn.Module):
    """Segmentation without its auxiliary head."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)["out"]


def model(name, **options):
    find = getattr(torchvision.models, name, None)
    for place in ("segmentation", "detection", "video", "optical_flow"):
        find = find or getattr(getattr(torchvision.models, place), name, None)
    return find(weights=None, **options)


def classifier(name):
    side = 299 if name == "inception_v3" else 224
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return Spec(lambda: model(name, **options), [image(1, 3, side, side)])


SPECS = {name: classifier(name) for name in (*CLASSIFIERS, "inception_v3")}
SPECS |= {name: Spec(lambda name=name: Out(model(name, weights_backbone=None)), [image(1, 3, 224, 224)]) for name in SEGMENTATION}
SPECS |= {name: Spec(lambda name=name: Images(model(name, weights_backbone=None, **({} if name.startswith("ssd") else {"min_size": 320}))),
                     [image(1, 3, 320, 320, open={})]) for name in DETECTION}
SPECS |= {name: Spec(lambda name=name: model(name), [image(1, 3, 16, 224 if name.startswith(("mvit", "s3d", "swin")) else 112,
                                                           224 if name.startswith(("mvit", "s3d", "swin")) else 112)])
          for name in VIDEO}
SPECS["raft_small"] = Spec(lambda: Flow(model("raft_small")), [image(1, 3, 128, 160, name="a"), image(1, 3, 128, 160, name="b")])

if __name__ == "__main__":
    main("vision", SPECS)
