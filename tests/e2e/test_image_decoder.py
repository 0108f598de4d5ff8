# SPDX-License-Identifier: Apache-2.0
"""ImageDecoder on files that Pillow has written, against Pillow's own reading of them."""
import io

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

RNG = np.random.default_rng(7)


def picture(width=37, height=23):
    """Smooth, with noise in a corner."""
    y, x = np.mgrid[0:height, 0:width]
    a = np.stack([x * 255 // width, y * 255 // height, (x + y) * 3 % 256], -1).astype(np.uint8)
    a[: height // 2, : width // 2] = RNG.integers(0, 256, (height // 2, width // 2, 3))
    return Image.fromarray(a)


def encoded(image, format, **options):
    to = io.BytesIO()
    image.save(to, format, **options)
    return to.getvalue()


RGB = picture()
FILES = {
    "bmp": encoded(RGB, "BMP"),
    "bmp-palette": encoded(RGB.convert("P"), "BMP"),
    "bmp-bits": encoded(RGB.convert("1"), "BMP"),
    "bmp-gray": encoded(RGB.convert("L"), "BMP"),
    "jpeg": encoded(RGB, "JPEG"),
    "jpeg-full-chroma": encoded(RGB, "JPEG", subsampling=0, quality=95),
    "jpeg-422": encoded(RGB, "JPEG", subsampling=1),
    "jpeg-progressive": encoded(RGB, "JPEG", progressive=True),
    "jpeg-gray": encoded(RGB.convert("L"), "JPEG"),
    "jpeg-cmyk": encoded(RGB.convert("CMYK"), "JPEG"),
    "png": encoded(RGB, "PNG"),
    "png-palette": encoded(RGB.convert("P"), "PNG"),
    "png-bits": encoded(RGB.convert("1"), "PNG"),
    "png-gray": encoded(RGB.convert("L"), "PNG"),
    "png-gray-alpha": encoded(RGB.convert("LA"), "PNG"),
    "png-alpha": encoded(RGB.convert("RGBA"), "PNG"),
    "ppm": encoded(RGB, "PPM"),
    "pgm": encoded(RGB.convert("L"), "PPM"),
    "pbm": encoded(RGB.convert("1"), "PPM"),
    "webp": encoded(RGB, "WEBP"),
    "webp-lossless": encoded(RGB, "WEBP", lossless=True),
    "webp-alpha": encoded(RGB.convert("RGBA"), "WEBP", lossless=True),
    "tiff": encoded(RGB, "TIFF"),
    "tiff-lzw": encoded(RGB, "TIFF", compression="tiff_lzw"),
    "tiff-deflate": encoded(RGB, "TIFF", compression="tiff_adobe_deflate"),
    "tiff-packbits": encoded(RGB.convert("L"), "TIFF", compression="packbits"),
    "tiff-fax": encoded(RGB.convert("1"), "TIFF", compression="group4"),
    "tiff-palette": encoded(RGB.convert("P"), "TIFF"),
    "jp2": encoded(RGB, "JPEG2000"),
    "jp2-gray": encoded(RGB.convert("L"), "JPEG2000"),
    "jp2-lossy": encoded(RGB, "JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[10]),
    "j2k": encoded(RGB, "JPEG2000", no_jp2=True),
}
# Pillow brings a libjpeg, a libwebp and an OpenJPEG of its own: lossy ones may round otherwise.
SLACK = {"jpeg-cmyk": 2, "webp": 1, "jp2-lossy": 1}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model per pixel format."""
    folder = tmp_path_factory.mktemp("decoders")
    paths = {}
    for pixels in ("RGB", "BGR", "Grayscale"):
        graph = helper.make_graph(
            [helper.make_node("ImageDecoder", ["file"], ["pixels"], pixel_format=pixels)], "decoder",
            [helper.make_tensor_value_info("file", TensorProto.UINT8, ["n"])],
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["h", "w", "c"])])
        paths[pixels] = folder / f"{pixels}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9),
                  paths[pixels])
    return paths


def decode(signetctl, model, data, folder):
    np.save(folder / "file.npy", np.frombuffer(data, np.uint8))
    status, _, error = signetctl("run", model, "--input", f"file={folder}/file.npy", "--output",
                                 f"pixels={folder}/pixels.npy", check=False)
    return (np.load(folder / "pixels.npy"), "") if status == 0 else (None, error)


def expect_close(got, want, slack):
    assert got.shape == want.shape
    assert np.abs(got.astype(int) - want.astype(int)).max() <= slack


@pytest.mark.parametrize("name", FILES)
def test_gives_pillows_pixels(name, models, signetctl, tmp_path):
    got, error = decode(signetctl, models["RGB"], FILES[name], tmp_path)
    assert got is not None, error
    expect_close(got, np.array(Image.open(io.BytesIO(FILES[name])).convert("RGB")), SLACK.get(name, 0))


def test_other_pixel_formats(models, signetctl, tmp_path):
    want = Image.open(io.BytesIO(FILES["jpeg"]))
    got, _ = decode(signetctl, models["BGR"], FILES["jpeg"], tmp_path)
    expect_close(got, np.array(want)[:, :, ::-1], 0)
    got, _ = decode(signetctl, models["Grayscale"], FILES["jpeg"], tmp_path)
    expect_close(got, np.array(want.convert("L"))[:, :, None], 0)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_is_refused(name, models, signetctl, tmp_path):
    data = FILES[name]
    got, error = decode(signetctl, models["RGB"], data[: len(data) // 2], tmp_path)
    assert got is None
    assert "(ImageDecoder): " in error and ("cut off" in error or "kind that is not supported" in error)
