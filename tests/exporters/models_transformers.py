#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models of transformers with small random configurations, written by both exporters of PyTorch.

usage: models_transformers.py DIR [transformers_script|transformers_dynamo|FOLDER/NAME...]      writes DIR/FOLDER/NAME.onnx;
       all of them when none is given
Needs torch, transformers, onnx, onnxscript.
"""
import torch
import transformers
from torch_export import Spec, image, main

WORDS, LENGTH, PAST, NEXT = 1000, 32, 24, 4
BASE = {"vocab_size": WORDS, "hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 1024}
GROUPED = BASE | {"num_key_value_heads": 2, "head_dim": 64, "pad_token_id": 0}
GPT = {"vocab_size": WORDS, "n_embd": 256, "n_layer": 3, "n_head": 4}
SEQ2SEQ = {"vocab_size": WORDS, "d_model": 256, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
           "decoder_attention_heads": 4, "encoder_ffn_dim": 512, "decoder_ffn_dim": 512}
T5 = {"vocab_size": WORDS, "d_model": 256, "d_kv": 64, "d_ff": 512, "num_layers": 2, "num_heads": 4}
SOUND = {"hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 1024,
         "num_conv_pos_embeddings": 32, "num_conv_pos_embedding_groups": 4}
SEEN = {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 768}

ENCODERS = {
    "albert": BASE | {"embedding_size": 128}, "bert": BASE, "roberta": BASE, "electra": BASE, "mpnet": BASE, "camembert": BASE,
    "convbert": BASE, "squeezebert": BASE | {"embedding_size": 256}, "deberta": BASE | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": BASE | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 64},
    "distilbert": {"vocab_size": WORDS, "dim": 256, "n_layers": 3, "n_heads": 4, "hidden_dim": 1024},
    "mobilebert": BASE | {"intermediate_size": 512}, "modernbert": BASE | {"pad_token_id": 0}, "roformer": BASE, "xlm-roberta": BASE,
    "nystromformer": BASE | {"segment_means_seq_len": LENGTH, "num_landmarks": LENGTH},
}
DECODERS = {
    "bloom": {"vocab_size": WORDS, "hidden_size": 256, "n_layer": 3, "n_head": 4}, "codegen": GPT | {"rotary_dim": 32},
    "falcon": BASE, "gemma": GROUPED, "gemma2": GROUPED, "gemma3_text": GROUPED, "gpt2": GPT, "gpt_bigcode": GPT,
    "gpt_neo": {"vocab_size": WORDS, "hidden_size": 256, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    "gpt_neox": BASE, "gptj": GPT | {"rotary_dim": 32}, "granite": GROUPED, "llama": GROUPED, "mistral": GROUPED, "olmo2": GROUPED,
    "opt": BASE | {"ffn_dim": 1024, "word_embed_proj_dim": 256}, "phi": BASE, "phi3": GROUPED, "qwen2": GROUPED, "qwen3": GROUPED,
    "stablelm": GROUPED, "starcoder2": GROUPED,
}
PAIRS = {"bart": SEQ2SEQ, "marian": SEQ2SEQ | {"pad_token_id": 0, "decoder_start_token_id": 0}, "m2m_100": SEQ2SEQ, "pegasus": SEQ2SEQ,
         "mbart": SEQ2SEQ, "t5": T5, "mt5": T5, "longt5": T5}
VISION = {
    "beit": SEEN, "convnext": {"depths": [2, 2, 4, 2], "hidden_sizes": [48, 96, 192, 384]}, "convnextv2": {"depths": [2, 2, 4, 2], "hidden_sizes": [48, 96, 192, 384]},
    "cvt": {"depth": [1, 2, 4]}, "dinov2": SEEN | {"image_size": 224, "patch_size": 14}, "efficientnet": {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "image_size": 224},
    "focalnet": {"depths": [2, 2, 4, 2], "embed_dim": 64}, "mobilenet_v1": {}, "mobilenet_v2": {}, "mobilevit": {}, "mobilevitv2": {},
    "poolformer": {}, "pvt": {}, "pvt_v2": {}, "regnet": {"depths": [1, 2, 4, 1]}, "resnet": {"depths": [2, 2, 3, 2], "hidden_sizes": [64, 128, 256, 512]},
    "segformer": {}, "swin": {"depths": [2, 2, 4, 2], "embed_dim": 64, "num_heads": [2, 4, 8, 16]},
    "swinv2": {"depths": [2, 2, 4, 2], "embed_dim": 64, "num_heads": [2, 4, 8, 16]}, "vit": SEEN,
}
AUDIO = {"hubert": SOUND, "wav2vec2": SOUND, "data2vec-audio": SOUND, "wavlm": SOUND, "sew": SOUND | {"squeeze_factor": 2},
         "unispeech-sat": SOUND, "wav2vec2-conformer": SOUND | {"position_embeddings_type": "rotary"}}


def configured(auto, kind, sizes):
    return auto.from_config(transformers.AutoConfig.for_model(kind, **sizes))


class Picked(torch.nn.Module):
    """The named outputs of a model whose inputs go by name."""

    def __init__(self, model, inputs, outputs, **more):
        super().__init__()
        self.model, self.inputs, self.outputs, self.more = model, inputs, outputs, more

    def forward(self, *args):
        out = self.model(**dict(zip(self.inputs, args)), **self.more)
        return tuple(out[name] for name in self.outputs)


class Step(torch.nn.Module):
    """A decoder's next words after those whose keys and values it is given."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask, *past):
        cache = transformers.DynamicCache()
        for i in range(len(past) // 2):
            cache.update(past[2 * i], past[2 * i + 1], i)
        out = self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True)
        return (out.logits, *[t for layer in out.past_key_values.layers for t in (layer.keys, layer.values)])


def ids(name, length=LENGTH, axis="length"):
    return (name, torch.randint(3, WORDS, (2, length)), {0: "batch", 1: axis})


def mask(name="attention_mask", length=LENGTH, axis="length"):
    return (name, torch.ones(2, length, dtype=torch.int64), {0: "batch", 1: axis})


def picked(make, inputs, outputs, **more):
    return Spec(lambda: Picked(make(), [name for name, _, _ in inputs], outputs, **more), inputs)


def encoder(kind, sizes):
    return picked(lambda: configured(transformers.AutoModel, kind, sizes), [ids("input_ids"), mask()], ["last_hidden_state"])


def decoder(kind, sizes):
    config = transformers.AutoConfig.for_model(kind, **sizes)
    heads = 1 if kind == "gpt_bigcode" or kind == "falcon" else getattr(config, "num_key_value_heads", 4)
    size = sizes.get("head_dim", 64)
    past = [(f"past_{part}_{i}", torch.randn(2, heads, PAST, size), {0: "batch", 2: "past"})
            for i in range(config.num_hidden_layers) for part in ("key", "value")]
    return Spec(lambda: Step(configured(transformers.AutoModelForCausalLM, kind, sizes)),
                [("input_ids", torch.randint(3, WORDS, (2, NEXT)), {0: "batch"}),
                 mask(length=PAST + NEXT, axis=f"past + {NEXT}"), *past])


def pair(kind, sizes):
    return picked(lambda: configured(transformers.AutoModelForSeq2SeqLM, kind, sizes),
                  [ids("input_ids"), mask(), ids("decoder_input_ids", 8, "said")], ["logits"], use_cache=False)


def vision(kind, sizes):
    side = 256 if kind.startswith("mobilevit") else 224
    return picked(lambda: configured(transformers.AutoModelForImageClassification, kind, sizes),
                  [image(1, 3, side, side, name="pixel_values")], ["logits"])


def audio(kind, sizes):
    return picked(lambda: configured(transformers.AutoModel, kind, sizes),
                  [("input_values", torch.randn(1, 8000), {0: "batch"})], ["last_hidden_state"])


def image_and_text(name, config, vision_config, outputs, length=16):
    text = {"vocab_size": WORDS, "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 3}
    make = lambda: getattr(transformers, name)(getattr(transformers, config)(text_config=text, vision_config=vision_config))  # noqa: E731
    return picked(make, [("input_ids", torch.randint(3, WORDS, (2, length)), {0: "batch"}),
                         image(2, 3, 224, 224, name="pixel_values")], outputs)


def resnet_backbone():
    return transformers.ResNetConfig(depths=[2, 2, 2, 2], layer_type="basic", hidden_sizes=[64, 128, 256, 512], out_features=["stage4"])


def whisper():
    config = transformers.WhisperConfig(**SEQ2SEQ, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                                        decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None)
    return picked(lambda: transformers.WhisperForConditionalGeneration(config),
                  [("input_features", torch.randn(1, 80, 3000), {0: "batch"}), ("decoder_input_ids", torch.randint(3, WORDS, (1, 8)), {0: "batch", 1: "said"})],
                  ["logits"], use_cache=False)


def of(name, config, inputs, outputs):
    """name is a class of transformers; config() makes its configuration."""
    return picked(lambda: getattr(transformers, name)(config()), inputs, outputs)


T = transformers
PIXELS = [image(1, 3, 224, 224, name="pixel_values")]
SPECS = {}
for made, table in ((encoder, ENCODERS), (decoder, DECODERS), (pair, PAIRS), (vision, VISION), (audio, AUDIO)):
    SPECS |= {kind.replace("-", "_"): made(kind, sizes) for kind, sizes in table.items()}
SPECS |= {
    "bert_classifier": picked(lambda: configured(T.AutoModelForSequenceClassification, "bert", BASE), [ids("input_ids"), mask()], ["logits"]),
    "roberta_tokens": picked(lambda: configured(T.AutoModelForTokenClassification, "roberta", BASE), [ids("input_ids"), mask()], ["logits"]),
    "distilbert_answers": picked(lambda: configured(T.AutoModelForQuestionAnswering, "distilbert", ENCODERS["distilbert"]),
                                 [ids("input_ids"), mask()], ["start_logits", "end_logits"]),
    "bert_masked": picked(lambda: configured(T.AutoModelForMaskedLM, "bert", BASE), [ids("input_ids"), mask()], ["logits"]),
    "llama_first": picked(lambda: configured(T.AutoModelForCausalLM, "llama", GROUPED), [ids("input_ids"), mask()], ["logits"], use_cache=False),
    "mamba": picked(lambda: configured(T.AutoModelForCausalLM, "mamba", {"vocab_size": WORDS, "hidden_size": 128, "num_hidden_layers": 2}),
                    [("input_ids", torch.randint(3, WORDS, (1, 12)), {0: "batch"})], ["logits"], use_cache=False),
    "t5_encoder": of("T5EncoderModel", lambda: T.T5Config(**T5), [ids("input_ids"), mask()], ["last_hidden_state"]),
    "whisper": whisper(),
    "ast": of("ASTForAudioClassification", lambda: T.ASTConfig(**SEEN, max_length=256), [("input_values", torch.randn(1, 256, 128), {0: "batch"})], ["logits"]),
    "clip": image_and_text("CLIPModel", "CLIPConfig", SEEN | {"patch_size": 32}, ["logits_per_image", "text_embeds", "image_embeds"]),
    "siglip": image_and_text("SiglipModel", "SiglipConfig", SEEN, ["logits_per_image", "text_embeds", "image_embeds"]),
    "detr": of("DetrForObjectDetection", lambda: T.DetrConfig(use_timm_backbone=False, backbone=None, use_pretrained_backbone=False,
               backbone_config=resnet_backbone(), d_model=128, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=256, decoder_ffn_dim=256,
               num_queries=50), PIXELS, ["logits", "pred_boxes"]),
    "yolos": of("YolosForObjectDetection", lambda: T.YolosConfig(**SEEN, image_size=[224, 224], num_detection_tokens=20), PIXELS, ["logits", "pred_boxes"]),
    "segformer_map": of("SegformerForSemanticSegmentation", lambda: T.SegformerConfig(), PIXELS, ["logits"]),
    "beit_map": of("BeitForSemanticSegmentation", lambda: T.BeitConfig(**SEEN, out_indices=[1, 2, 3, 4], use_auxiliary_head=False), PIXELS, ["logits"]),
    "mobilevit_map": of("MobileViTForSemanticSegmentation", lambda: T.MobileViTConfig(), PIXELS, ["logits"]),
    "dpt": of("DPTForDepthEstimation", lambda: T.DPTConfig(**SEEN, is_hybrid=False, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[48, 96, 192, 192], fusion_hidden_size=64), PIXELS, ["predicted_depth"]),
    "glpn": of("GLPNForDepthEstimation", lambda: T.GLPNConfig(), PIXELS, ["predicted_depth"]),
    "swin2sr": of("Swin2SRForImageSuperResolution", lambda: T.Swin2SRConfig(embed_dim=60, depths=[2, 2], num_heads=[6, 6]),
                  [image(1, 3, 64, 64, name="pixel_values")], ["reconstruction"]),
    "vit_msn": of("ViTMSNModel", lambda: T.ViTMSNConfig(**SEEN), PIXELS, ["last_hidden_state"]),
    "wav2vec2_ctc": of("Wav2Vec2ForCTC", lambda: T.Wav2Vec2Config(**SOUND, vocab_size=40), [("input_values", torch.randn(1, 8000), {0: "batch"})], ["logits"]),
    "time_series": of("PatchTSTForPrediction", lambda: T.PatchTSTConfig(context_length=128, prediction_length=24, num_input_channels=4, d_model=64),
                      [("past_values", torch.randn(1, 128, 4), {0: "batch"})], ["prediction_outputs"]),
}

if __name__ == "__main__":
    main("transformers", SPECS)
