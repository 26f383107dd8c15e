"""Image captioning: Vinyals et al., "Show and tell: a neural image caption generator" (2015)."""

from sardonyx.frontends import dsl


@dsl.model(image=dsl.f32["batch", 3, 64, 64], words=dsl.i64)
def captioner(image, words, vocabulary=8000, units=512, widths=(32, 64, 128, 256)):
    """One to many: an image is the first word that a memory hears; it says the others."""
    x = image
    for channels in widths:
        x = dsl.relu(dsl.conv(x, channels, 3, stride=2, padding=1))
    image_word = dsl.linear(dsl.global_avg_pool(x).flatten(), units, name="image_word")

    def say(i, heard, h, c):
        _, (h, c) = dsl.lstm(heard[None], units, (h, c))
        scores = dsl.linear(h[0], vocabulary, name="scores")
        word = dsl.argmax(scores)
        return dsl.embedding(word, vocabulary, units), h, c, word, scores

    silence = dsl.zeros((1, image.shape[0], units))
    *_, caption, scores = dsl.loop(words, say, image_word, silence, silence)
    return {"caption": caption, "scores": scores}
