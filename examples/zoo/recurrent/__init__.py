"""Networks that go along time."""

from examples.zoo.member import Member, always, below
from examples.zoo.recurrent import captioning, layers, seq2seq, tagging, windowed
from sardonyx.frontends import dsl

SHAPES = ({"time": 5, "batch": 2}, {"time": 8, "batch": 1})
BATCHES = ({"batch": 1}, {"batch": 3})
TEXTS = ({"batch": 1, "length": 5}, {"batch": 3, "length": 8})
FULL = {"time": 32, "batch": 8}

LAYERS = {
    "rnn": (layers.vanilla_rnn, "Rnn"),
    "bidirectional rnn": (layers.bidirectional_rnn, "BidirectionalRnn"),
    "lstm": (layers.lstm, "Lstm"),
    "gru": (layers.gru, "Gru"),
    "bilstm": (layers.bilstm, "BiLstm"),
}


def _layer(kind: str, form: str) -> Member:
    model, twin = LAYERS[kind]
    is_fixed = form == "unrolled"  # a loop of Python goes along a fixed size
    return Member(
        kind if form == "operator" else f"{kind} ({form})",
        model.build(x=dsl.f32[32, "batch", 32]) if is_fixed else model,
        f"layers_torch:{twin}",
        BATCHES if is_fixed else SHAPES,
        full_at={"batch": 8} if is_fixed else FULL,
        options={"form": form},
        small={"units": 12} | ({"x": dsl.f32[3, "batch", 32]} if is_fixed else {}),
        names=lambda name: name.rpartition(".")[2],
    )


def _sides(name: str) -> str:
    side = "reader" if name.startswith(("source", "encoder")) else "writer"
    return f"{side}.{name}"


MEMBERS = (
    Member(
        "windowed perceptron",
        windowed.windowed,
        "windowed_torch:Windowed",
        ({"batch": 1, "time": 5}, {"batch": 3, "time": 9}),
        full_at={"batch": 8, "time": 100},
    ),
    *(_layer(kind, form) for kind in LAYERS for form in layers.FORMS),
    Member(
        "image captioning",
        captioning.captioner,
        "captioning_torch:Captioner",
        BATCHES,
        small={"vocabulary": 20, "units": 24, "widths": (4, 6)},
        inputs={"words": always(6)},
    ),
    Member(
        "tagging",
        tagging.tagger,
        "tagging_torch:Tagger",
        TEXTS,
        full_at={"batch": 8, "length": 32},
        small={"vocabulary": 20, "units": 8},
        inputs={"tokens": below(20)},
    ),
    Member(
        "encoder-decoder",
        seq2seq.translator,
        "seq2seq_torch:Translator",
        TEXTS,
        full_at={"batch": 8, "length": 16},
        small={"vocabulary": 12, "units": 16},
        inputs={"source": below(12), "limit": always(9)},
        names=_sides,
    ),
    Member(
        "encoder-decoder (step)",
        seq2seq.decoder,
        "seq2seq_torch:Decoder",
        ({"beams": 1}, {"beams": 4}),
        small={"vocabulary": 12, "units": 16, "state": dsl.f32[1, "beams", 16]},
        inputs={"tokens": below(12)},
    ),
)
