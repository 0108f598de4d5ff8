#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models of Keras 3 with random weights, written by model.export(format="onnx").

usage: models_keras.py DIR [NAME...]      writes DIR/NAME.onnx; all of them when no name is given
Needs keras, tensorflow-cpu, tf2onnx.
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
import keras  # noqa: E402
from keras import layers as L  # noqa: E402
from write import write_all  # noqa: E402

K = keras.ops
APPLICATIONS = {
    "mobilenet": "MobileNet", "mobilenet_v2": "MobileNetV2", "mobilenet_v3_small": "MobileNetV3Small",
    "mobilenet_v3_large": "MobileNetV3Large", "efficientnet_b0": "EfficientNetB0",
    "efficientnet_v2_b0": "EfficientNetV2B0", "resnet50": "ResNet50", "resnet50_v2": "ResNet50V2",
    "densenet121": "DenseNet121", "xception": "Xception", "nasnet_mobile": "NASNetMobile",
    "inception_v3": "InceptionV3", "inception_resnet_v2": "InceptionResNetV2", "convnext_tiny": "ConvNeXtTiny",
}


def application(name):
    """One of keras.applications; the variances of its normalizations are no longer all 1."""
    def make():
        model = getattr(keras.applications, APPLICATIONS[name])(weights=None)
        rng = keras.random.SeedGenerator(1)
        for layer in model.layers:
            if isinstance(layer, L.BatchNormalization):
                layer.moving_variance.assign(keras.random.uniform(layer.moving_variance.shape, 0.5, 1.5, seed=rng))
                layer.moving_mean.assign(keras.random.normal(layer.moving_mean.shape, 0, 0.1, seed=rng))
        return model
    return make


def on(shape, *layers):
    """One after another."""
    return keras.Sequential([keras.Input(shape), *layers])


def of(fn, shape):
    """fn makes a keras tensor of the input."""
    x = keras.Input(shape)
    return keras.Model(x, fn(x))


def gelu(x):
    """The exact one is Erfc, which tf2onnx does not know."""
    return K.gelu(x, approximate=True)


def encoder(layers, heads, width, causal=False, norm_first=False):
    def fn(x):
        for _ in range(layers):
            a = L.LayerNormalization(epsilon=1e-6)(x) if norm_first else x
            x = x + L.MultiHeadAttention(heads, width // heads)(a, a, use_causal_mask=causal)
            x = x if norm_first else L.LayerNormalization(epsilon=1e-6)(x)
            a = L.LayerNormalization(epsilon=1e-6)(x) if norm_first else x
            x = x + L.Dense(width)(L.Dense(4 * width, activation=gelu)(a))
            x = x if norm_first else L.LayerNormalization(epsilon=1e-6)(x)
        return x
    return fn


def vit(x):
    x = L.Conv2D(192, 16, 16, name="patches")(x)
    x = L.Reshape((-1, 192))(x)
    x = encoder(4, 3, 192, norm_first=True)(x + L.Embedding(196, 192)(K.arange(196)))
    return L.Dense(100)(L.LayerNormalization()(K.mean(x, axis=1)))


def unet(x):
    skips = []
    for width in (16, 32, 64):
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(width, 3, padding="same", use_bias=False)(x)))
        skips.append(x)
        x = L.MaxPooling2D()(x)
    for width in (64, 32, 16):
        x = L.Conv2DTranspose(width, 2, 2, padding="same")(x)
        x = L.Concatenate()([x, skips.pop()])
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(width, 3, padding="same")(x)))
    return L.Conv2D(3, 1, activation="softmax")(x)


def se_block(x):
    x = L.Conv2D(32, 3, padding="same", activation="swish")(x)
    s = L.GlobalAveragePooling2D(keepdims=True)(x)
    s = L.Conv2D(32, 1, activation="sigmoid")(L.Conv2D(8, 1, activation="relu")(s))
    x = L.Multiply()([x, s])
    s = L.Reshape((1, 1, 32))(L.Dense(32, activation="hard_sigmoid")(L.Dense(8, "relu")(L.GlobalAveragePooling2D()(x))))
    return L.Conv2D(16, 1)(x * s)


def text():
    ids = keras.Input((None,), dtype="int32")
    x = L.Embedding(5000, 64, mask_zero=False)(ids)
    x = L.Conv1D(64, 5, padding="same", activation="relu")(x)
    x = L.GlobalMaxPooling1D()(x)
    return keras.Model(ids, L.Dense(4, "softmax")(L.Dense(64, "relu")(x)))


def masked_text():
    ids = keras.Input((32,), dtype="int32")
    x = L.Embedding(5000, 64, mask_zero=True)(ids)
    x = L.Bidirectional(L.LSTM(48))(x)
    return keras.Model(ids, L.Dense(1, "sigmoid")(x))


def gpt():
    ids = keras.Input((64,), dtype="int32")
    x = L.Embedding(1000, 128)(ids) + L.Embedding(64, 128)(K.arange(64))
    return keras.Model(ids, L.Dense(1000)(encoder(3, 4, 128, causal=True, norm_first=True)(x)))


def tabular():
    """Several inputs, some of them categories."""
    number, kind = keras.Input((8,), name="number"), keras.Input((1,), dtype="int32", name="kind")
    n = L.Normalization(mean=[0.1] * 8, variance=[2.0] * 8)(number)
    c = L.CategoryEncoding(10, output_mode="one_hot")(kind)
    e = L.Flatten()(L.Embedding(10, 4)(kind))
    x = L.Concatenate()([n, c, e])
    return keras.Model([number, kind], [L.Dense(3, "softmax", name="a")(L.Dense(32, "selu")(x)),
                                        L.Dense(1, name="b")(x)])


def attention_text(x):
    y = L.Attention(use_scale=True)([x, x])
    z = L.AdditiveAttention()([x, x])
    return L.GlobalAveragePooling1D()(L.Concatenate()([y, z]))


def seq2seq(x):
    out, h, c = L.LSTM(32, return_sequences=True, return_state=True)(x)
    y = L.LSTM(32, return_sequences=True)(L.RepeatVector(6)(h), initial_state=[h, c])
    return L.TimeDistributed(L.Dense(5, "softmax"))(L.Dot(axes=2)([y, out]))


MODELS = {name: application(name) for name in APPLICATIONS}
MODELS |= {
    "mlp": lambda: on((20,), L.Dense(128, "relu"), L.Dropout(0.1), L.BatchNormalization(), L.Dense(64, "elu"), L.Dense(3, "softmax")),
    "mlp_wide": lambda: on((256,), L.Dense(1024, gelu), L.LayerNormalization(), L.Dense(1024, "silu"), L.Dense(10)),
    "autoencoder": lambda: on((784,), L.Dense(64, "tanh"), L.Dense(16, "softplus"), L.Dense(64, "leaky_relu"), L.Dense(784, "sigmoid")),
    "lenet": lambda: on((28, 28, 1), L.Conv2D(8, 5, activation="relu"), L.AveragePooling2D(2), L.Conv2D(16, 5, activation="tanh"),
                L.MaxPooling2D(), L.Flatten(), L.Dense(84, "relu"), L.Dense(10, "softmax")),
    "cnn_open_size": lambda: on((None, None, 3), L.Conv2D(16, 3, 2, padding="same"), L.BatchNormalization(), L.Activation("relu6"),
                        L.DepthwiseConv2D(3, padding="same"), L.Activation("hard_swish"), L.Conv2D(32, 1),
                        L.GlobalAveragePooling2D(), L.Dense(10)),
    "separable": lambda: on((64, 64, 3), L.SeparableConv2D(32, 3, 2, padding="same", activation="relu"), L.BatchNormalization(),
                    L.SeparableConv2D(64, 5, padding="same", activation="swish"), L.DepthwiseConv2D(3, depth_multiplier=2),
                    L.GlobalMaxPooling2D(), L.Dense(10)),
    "dilated": lambda: on((48, 48, 8), L.Conv2D(16, 3, dilation_rate=2, padding="same", activation="relu"),
                  L.Conv2D(16, 3, groups=4), L.Conv2D(16, (1, 5), activation="mish"), L.Cropping2D(2), L.ZeroPadding2D(3),
                  L.Conv2D(4, 3, 2)),
    "conv1d": lambda: on((400, 6), L.Conv1D(32, 7, 2, padding="causal", activation="relu"), L.BatchNormalization(),
                 L.Conv1D(64, 3, padding="same", activation="relu"), L.MaxPooling1D(), L.SeparableConv1D(64, 3, padding="same"),
                 L.GlobalAveragePooling1D(), L.Dense(5)),
    "tcn": lambda: on((200, 16), *[L.Conv1D(32, 3, padding="causal", dilation_rate=d, activation="relu") for d in (1, 2, 4, 8)],
              L.Conv1DTranspose(8, 4, 2, padding="same")),
    "conv3d": lambda: on((16, 32, 32, 1), L.Conv3D(8, 3, padding="same", activation="relu"), L.MaxPooling3D(), L.BatchNormalization(),
                 L.Conv3D(16, 3, strides=2), L.Conv3DTranspose(4, 3, 2), L.GlobalAveragePooling3D(), L.Dense(2)),
    "dcgan": lambda: on((64,), L.Dense(4 * 4 * 64), L.Reshape((4, 4, 64)), L.Conv2DTranspose(64, 5, 2, padding="same"),
                L.BatchNormalization(), L.LeakyReLU(0.2), L.Conv2DTranspose(32, 4, 2, padding="same", activation="relu"),
                L.Conv2DTranspose(3, 3, 2, padding="same", activation="tanh")),
    "unet": lambda: of(unet, (96, 96, 3)),
    "se": lambda: of(se_block, (40, 40, 8)),
    "vit": lambda: of(vit, (224, 224, 3)),
    "norms": lambda: on((12, 12, 16), L.GroupNormalization(4), L.Conv2D(16, 3), L.LayerNormalization(axis=[1, 2, 3]),
                L.UnitNormalization(), L.RMSNormalization(), L.SpectralNormalization(L.Conv2D(8, 1))),
    "up": lambda: on((16, 16, 4), L.UpSampling2D(2), L.Conv2D(8, 3, padding="same"), L.UpSampling2D(2, interpolation="bilinear"),
             L.Conv2D(3, 3)),
    "preprocess": lambda: on((60, 80, 3), L.Rescaling(1 / 127.5, -1), L.Resizing(32, 32), L.CenterCrop(28, 28),
                     L.Normalization(axis=-1, mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0]), L.Conv2D(8, 3)),
    "discretize": lambda: on((5,), L.Discretization([-1.0, 0.0, 0.5]), L.CategoryEncoding(4, output_mode="multi_hot")),
    "activations": lambda: on((10, 12), L.PReLU(), L.Activation("softsign"), L.Activation("exponential"), L.Activation("tanh"),
                      L.Activation("log_softmax"), L.Activation("celu"), L.Activation("squareplus"),
                      L.Activation("hard_tanh"), L.Activation("glu"), L.Softmax(axis=1)),
    "lstm": lambda: on((50, 16), L.LSTM(64, return_sequences=True), L.LSTM(32), L.Dense(4)),
    "lstm_open": lambda: on((None, 16), L.LSTM(64, return_sequences=True), L.Dense(4)),
    "gru": lambda: on((50, 16), L.GRU(64, return_sequences=True), L.GRU(32, reset_after=False), L.Dense(4)),
    "gru_backwards": lambda: on((50, 16), L.GRU(64, return_sequences=True, go_backwards=True), L.Dense(4)),
    "bidirectional": lambda: on((40, 16), L.Bidirectional(L.LSTM(32, return_sequences=True)),
                        L.Bidirectional(L.GRU(32), merge_mode="sum"), L.Dense(4)),
    "simple_rnn": lambda: on((30, 8), L.SimpleRNN(32, return_sequences=True), L.SimpleRNN(16), L.Dense(2)),
    "conv_lstm": lambda: on((5, 16, 16, 2), L.ConvLSTM2D(8, 3, padding="same", return_sequences=True), L.ConvLSTM2D(4, 3), L.Flatten(), L.Dense(3)),
    "seq2seq": lambda: of(seq2seq, (20, 8)),
    "attention": lambda: of(attention_text, (24, 32)),
    "encoder": lambda: of(encoder(3, 4, 128), (64, 128)),
    "encoder_open": lambda: of(encoder(2, 4, 64), (None, 64)),
    "gpt": gpt,
    "grouped_attention": lambda: of(lambda x: L.GroupQueryAttention(16, 4, 2)(x, x), (32, 64)),
    "text_cnn": text,
    "text_masked": masked_text,
    "tabular": tabular,
    "shapes": lambda: of(lambda x: K.concatenate([K.flip(L.Permute((2, 1))(x), 1), K.roll(L.Permute((2, 1))(x), 1, 2)[:, ::-1, :]], -1), (6, 4)),
    "einsum_dense": lambda: on((12, 16), L.EinsumDense("abc,cde->abde", (None, 4, 8), bias_axes="de"), L.EinsumDense("abde,def->abf", (None, 10)),),
}


def write(make, path):
    model = make()
    zeros = [K.zeros([d or 8 for d in i.shape], i.dtype) for i in model.inputs]
    model(zeros if len(zeros) > 1 else zeros[0])  # export() wants it called
    model.export(path, format="onnx", verbose=False)


def main():
    write_all(sys.argv, MODELS, write)


if __name__ == "__main__":
    main()
