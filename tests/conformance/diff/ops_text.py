# SPDX-License-Identifier: Apache-2.0
"""Generators: operators on strings, and images to be decoded."""
import io

import numpy as np
from PIL import Image

from .ops import generator


def strings(d, words, low=0, high=3):
    shape = d.shape(low, high, count_max=60)
    return np.array([d.pick(words) for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape)


@generator("StringConcat")
def string_concat(d):
    return [d.values(np.object_, s) for s in d.broadcast(2)], {}, 1


@generator("StringSplit")
def string_split(d):
    words = ["a b c", " a  b ", "", "  ", "x", "a,b,,c", ",", "a, b", "aaa", "é,日本 x", "a\tb\nc", "a--b-c--"]
    most = d.pick([None, None, 0, 1, 2, 5])
    if most is not None:  # what ends in white space is left so by the reference, though its text says otherwise
        words = [w for w in words if w == w.rstrip()]
    return [strings(d, words, 1)], {"delimiter": d.pick([None, "", ",", "aa", "--", "é", " "]), "maxsplit": most}, 2


ATOMS = ["a", "b", ".", r"\d", r"\w", "[ab]", "[^a]", r"\pL", "é", r"\.", "[[:alpha:]]", "1", "-", r"[a-f\d]", r"\W", " "]


def pattern(d, depth=0):
    """RE2's syntax, as far as it means the same in all engines."""
    how = d.int(0, 9)
    if depth > 3 or how < 4:
        return d.pick(ATOMS)
    inner = pattern(d, depth + 1)
    if how < 6:
        return inner + pattern(d, depth + 1)
    if how < 8:
        return f"{d.pick(['(?:', '('])}{inner}|{pattern(d, depth + 1)})"
    return f"(?:{inner}){d.pick(['*', '+', '?', '{2}', '{1,3}', '{2,}', '*?', '+?'])}"


@generator("RegexFullMatch")
def regex_full_match(d):
    letters = list("ab1é.-A \n")
    texts = ["".join(d.pick(letters) for _ in range(d.int(0, 6))) for _ in range(12)]
    return [np.array(texts, dtype=object)], \
        {"pattern": d.pick(["", "", "(?i)", "(?s)", "^"]) + pattern(d) + d.pick(["", "", "$"])}, 1


@generator("Tokenizer", domain="com.microsoft")
def tokenizer(d):
    letters = list("ab1é.- ,")
    texts = ["".join(d.pick(letters) for _ in range(d.int(0, 9))) for _ in range(d.int(1, 4) * 3)]
    x = np.array([*texts, "b a"], dtype=object)  # whether all are empty is told in another way
    attrs = {"mark": d.int(0, 1), "mincharnum": d.int(1, 3), "pad_value": d.pick(["#", "", "pad"])}
    how = d.int(0, 2)
    if how == 0:
        attrs.update(separators=[""], mincharnum=1)
    elif how == 1:
        attrs["separators"] = [d.pick([" ", ",", r"\.", "b", "-+", "[ .]+", "^a", "é"]) for _ in range(d.int(1, 3))]
    else:
        attrs["tokenexp"] = d.pick(["[a-z]+", r"\w+", ".", "a|ab|abc", "[^ ]+", r"\d+|\w\w", "^a|b$", "[a-zA-Z0-9_]+"])
    return [x.reshape(1, -1) if d.chance(0.4) else x], attrs, 1


@generator("StringNormalizer")
def string_normalizer(d):
    words = ["Monday", "monday", "Äpfel", "äPFEL", "a", "b", "日本", "", "x y"]
    x = np.array([d.pick(words) for _ in range(d.int(1, 9))], dtype=object)
    attrs = {"case_change_action": d.pick([None, "NONE", "LOWER", "UPPER"]), "locale": "C.UTF-8",
             "is_case_sensitive": d.pick([None, 0, 1]),
             "stopwords": d.maybe([d.pick(words[:6]) for _ in range(d.int(1, 3))])}
    return [x.reshape(1, -1) if d.chance(0.3) else x], attrs, 1


@generator("TfIdfVectorizer")
def tf_idf_vectorizer(d):
    words = d.chance(0.4)
    items = ["a", "b", "", "é", "cc"] if words else [0, 1, 5, -3, 10**12]
    grams, counts, longest = [], [], d.int(1, 3)
    for n in range(1, longest + 1):
        counts.append(sum(len(g) for g in grams))
        some = {tuple(d.pick(items) for _ in range(n)) for _ in range(d.int(0 if n < longest else 1, 4))}
        grams += sorted(some)
    pool = [item for g in grams for item in g]
    least = d.int(1, longest)
    shape = d.pick([[d.int(1, 9)], [d.int(1, 3), d.int(1, 9)]])
    x = np.array([d.pick(items) for _ in range(int(np.prod(shape)))], dtype=object if words else np.int64)
    attrs = {"mode": d.pick(["TF", "IDF", "TFIDF"]), "min_gram_length": least, "max_gram_length": d.int(least, longest),
             "max_skip_count": d.int(0, 3), "ngram_counts": counts, "ngram_indexes": d.shuffled(len(grams)),
             "pool_strings" if words else "pool_int64s": pool,
             "weights": d.maybe([d.float(0.1, 3) for _ in grams])}
    return [x.reshape(shape)], attrs, 1


@generator("ImageDecoder")
def image_decoder(d):
    """What does not lose anything: decoders of lossy formats may round otherwise."""
    pixels = d.rng.integers(0, 256, (d.int(1, 20), d.int(1, 20), 3)).astype(np.uint8)
    to = io.BytesIO()
    format, options = d.pick([("BMP", {}), ("PNG", {}), ("PPM", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
                              ("WEBP", {"lossless": True})])
    Image.fromarray(pixels).save(to, format, **options)
    return [np.frombuffer(to.getvalue(), np.uint8)], {"pixel_format": d.pick([None, "RGB", "BGR", "Grayscale"])}, 1
