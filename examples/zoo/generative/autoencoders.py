"""Autoencoders.

Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks" (2006);
Ng, "Sparse autoencoder" (2011); Kingma and Welling, "Auto-encoding variational Bayes" (2014).
"""

from sardonyx.frontends import dsl

IMAGE = dsl.f32["batch", 784]


def encode(x, hidden):
    for features in hidden:
        x = dsl.relu(dsl.linear(x, features))
    return x


def decode(z, hidden, size):
    for features in reversed(hidden):
        z = dsl.relu(dsl.linear(z, features))
    return dsl.sigmoid(dsl.linear(z, size))


@dsl.model(x=IMAGE)
def autoencoder(x, hidden=(512, 256), code=32):
    """An image through a bottleneck: what comes out again is in the code."""
    with dsl.scope("encoder"):
        z = dsl.linear(encode(x, hidden), code, name="code")
    with dsl.scope("decoder"):
        return {"code": z, "image": decode(z, hidden, x.shape[1])}


@dsl.model(x=IMAGE)
def sparse_autoencoder(x, code=1024, rate=0.05):
    """A code wider than the image, few units of which may be active: the loss says how few."""
    z = dsl.sigmoid(dsl.linear(x, code, name="encoder"))
    image = dsl.linear(z, x.shape[1], name="decoder")
    active = z.mean(0)
    divergence = rate * dsl.log(rate / active) + (1 - rate) * dsl.log((1 - rate) / (1 - active))
    return {"image": image, "loss": ((image - x) ** 2).mean(), "sparsity": divergence.sum()}


@dsl.model(x=IMAGE)
def vae(x, hidden=(512, 256), code=32):
    """A code that is drawn: mean and deviation are learned, the noise is not (training)."""
    with dsl.scope("encoder"):
        wide = encode(x, hidden)
        mean = dsl.linear(wide, code, name="mean")
        log_variance = dsl.linear(wide, code, name="log_variance")
    z, drawn = mean, {}
    if dsl.is_training():
        noise = dsl.random.normal_like(mean)
        z, drawn = mean + dsl.exp(log_variance / 2) * noise, {"noise": noise}
    with dsl.scope("decoder"):
        image = decode(z, hidden, x.shape[1])
    distance = ((dsl.exp(log_variance) + mean**2 - 1 - log_variance) / 2).sum(-1)
    return {"image": image, "mean": mean, "log_variance": log_variance, "kl": distance} | drawn
