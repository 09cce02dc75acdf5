"""From a folder of weights to an encoder that is ready to encode."""

from __future__ import annotations

from metastra.encoders.encoder import Encoder
from metastra.encoders.engine_names import require_engine
from metastra.encoders.network_encoder import BATCH, NetworkEncoder
from metastra.encoders.weights import Weights

__all__ = ["load_encoder"]

_GPU_BATCH, _GPU_CALLS = 64, 4


def load_encoder(weights: Weights, engine: str = "") -> Encoder:
    """Build an encoder from its weights.

    Parameters
    ----------
    weights : Weights
        That were looked at.
    engine : str
        Engine and precision; empty for the plain one of this kind of network.

    Returns
    -------
    Encoder
        Ready to encode.

    Raises
    ------
    ConfigError
        If the weights do not fit, or the engine does not run this kind of network.
    MissingExtra
        If the engine's package is not installed.
    """
    card = weights.card(engine)
    require_engine("torch")
    from metastra.encoders.building import build_network
    from metastra.encoders.engines import make_runner

    if weights.recipe.network.family in ("onnx", "torchscript"):
        from metastra.encoders.foreign import foreign_runner

        runner, size = foreign_runner(weights, card.engine, card.precision, batch=BATCH)
        return NetworkEncoder(card, runner, batch=size)
    gpu = card.engine == "torch-cuda"
    batch = _GPU_BATCH if gpu else BATCH
    runner = make_runner(
        build_network(weights), card.engine, card.precision, batch=batch, tile_px=card.tile_px
    )
    return NetworkEncoder(card, runner, batch=batch, calls=_GPU_CALLS if gpu else 1)
