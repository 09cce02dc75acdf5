"""The own vision transformer against timm and transformers: equal to the bit on random weights."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from metastra.encoders.known import known_encoders
from metastra.models.resnet import ResNet50, resnet_names
from metastra.models.tile_network import TileNetwork
from metastra.models.vit import VisionTransformer, VitShape
from metastra.models.vit_names import (
    WeightFormat,
    format_of,
    resample_positions,
    to_own_names,
)
from models.torchvision_stub import load_timm, load_transformers

_GATED = {"mlp_ratio": 2.66667 * 2, "init_values": 1e-5}
_VIRCHOW = {"init_values": 1e-5, "mlp_ratio": 5.3375, "global_pool": ""}
# architecture of timm, its arguments as on the model's page, and whether the layer is SwiGLUPacked
TIMM = {
    "uni_v1": ("vit_large_patch16_224", {"init_values": 1e-5}, False),
    "uni_v2": (
        "vit_giant_patch14_224",
        {**_GATED, "num_heads": 24, "embed_dim": 1536, "no_embed_class": True, "reg_tokens": 8},
        True,
    ),
    "virchow": ("vit_huge_patch14_224", _VIRCHOW, True),
    "virchow2": ("vit_huge_patch14_224", {**_VIRCHOW, "reg_tokens": 4}, True),
    "hoptimus0": ("vit_giant_patch14_reg4_dinov2", {"init_values": 1e-5}, False),
    "hoptimus1": ("vit_giant_patch14_reg4_dinov2", {"init_values": 1e-5}, False),
    "h0-mini": ("vit_base_patch14_reg4_dinov2", {"init_values": 1e-5, "mlp_ratio": 5.33334}, True),
    "gigapath": (
        "vit_giant_patch14_dinov2",
        {"patch_size": 16, "embed_dim": 1536, "num_heads": 24, "mlp_ratio": 5.33334},
        False,
    ),
    "kaiko-vits8": ("vit_small_patch8_224", {}, False),
    "kaiko-vitl14": ("vit_large_patch14_reg4_dinov2", {}, False),
    "lunit-vits8": ("vit_small_patch8_224", {}, False),
}


def shape_of(name, **changed):
    """The shape that our own list says the encoder has."""
    recipe = known_encoders()[name].recipe
    given = recipe.network.model_dump(exclude={"family", "dimension"}) | changed
    return VitShape(tile_px=recipe.tile_px, **given)


def scramble(module, seed=0):
    """Give every parameter and statistic a value of its own, none of them at its first value."""
    made = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=made)
                positive = name.endswith("running_var")
                value.copy_(noise.abs() + 0.5 if positive else noise * 0.05 + (value.dim() == 1))
    return module.eval()


def pixels(side, batch=2, seed=1):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", sorted(TIMM))
def test_the_network_equals_timm_to_the_bit_at_the_true_shape(name):
    """State dict loads strictly, class token and all tokens are equal; only the depth is cut."""
    timm = load_timm()
    architecture, arguments, gated = TIMM[name]
    extra = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU} if gated else {}
    theirs = timm.create_model(
        architecture, img_size=224, depth=1, num_classes=0, **{**arguments, **extra}
    )
    scramble(theirs)
    wanted = {"mlp_width": 4096, "gated": True} if name == "h0-mini" else {}
    ours = VisionTransformer(shape_of(name, depth=1, **wanted)).eval()
    ours.load_state_dict(to_own_names(theirs.state_dict()), strict=True)

    with torch.no_grad():
        expected = theirs.forward_features(pixels(224))
        found = ours(pixels(224))

    assert found.shape == expected.shape
    assert torch.equal(found, expected)
    assert float(found.std()) > 0.1


def test_the_shapes_of_the_list_are_those_of_the_uncut_networks():
    """Depths and numbers of parameters of known networks, without making their weights."""
    timm = load_timm()
    for name in ("uni_v1", "uni_v2", "virchow2", "hoptimus0", "gigapath"):
        architecture, arguments, gated = TIMM[name]
        extra = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU} if gated else {}
        deep = {"depth": 24} if name == "uni_v2" else {}
        with torch.device("meta"):
            theirs = timm.create_model(
                architecture, img_size=224, num_classes=0, **{**arguments, **deep, **extra}
            )
            ours = VisionTransformer(shape_of(name))
        expected = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
        assert {key: tuple(value.shape) for key, value in ours.state_dict().items()} == expected


TRANSFORMERS = {
    "phikon": ("ViT", {}),
    "phikon_v2": ("Dinov2", {}),
    "hibou_l": ("Dinov2WithRegisters", {"num_register_tokens": 4}),
    "midnight12k": ("Dinov2", {"use_swiglu_ffn": True}),
}


@pytest.mark.parametrize("name", sorted(TRANSFORMERS))
def test_the_network_equals_transformers_at_the_true_shape(name, tmp_path):
    """The file that transformers writes is renamed and loads strictly; the tokens are equal."""
    theirs, shape = saved_by_transformers(name, tmp_path, side=224)
    tensors = load_file(tmp_path / "model.safetensors")
    ours = VisionTransformer(shape).eval()
    ours.load_state_dict(to_own_names(tensors), strict=True)

    with torch.no_grad():
        expected = theirs(pixels(224)).last_hidden_state
        found = ours(pixels(224))

    assert format_of(tensors) is WeightFormat.TRANSFORMERS
    largest = float(expected.abs().max())
    assert float((found - expected).abs().max()) <= 2e-6 * largest
    assert float(found.std()) > 0.1


def saved_by_transformers(name, folder, *, side):
    """A model of transformers with random weights, and the file that it writes of itself."""
    transformers = load_transformers()
    kind, given = TRANSFORMERS[name]
    network = known_encoders()[name].recipe.network
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=network.width,
        num_hidden_layers=1,
        num_attention_heads=network.heads,
        image_size=side,
        patch_size=network.token_px,
        **({"intermediate_size": network.mlp_width} if kind == "ViT" else {}),
        **given,
    )
    extra = {"add_pooling_layer": True} if kind == "ViT" else {}
    theirs = scramble(getattr(transformers, f"{kind}Model")(config, **extra))
    theirs.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["hidden_size"] == network.width
    width = {} if network.mlp_width else {"mlp_width": 4 * network.width}
    return theirs, shape_of(name, depth=1, **width)


@pytest.mark.parametrize("name", ["phikon_v2", "hibou_l"])
def test_positions_of_another_tile_size_are_resampled_as_transformers_does(name, tmp_path):
    """A file made for tiles of twice the side gives what transformers gives on our tiles."""
    theirs, shape = saved_by_transformers(name, tmp_path, side=448)
    tensors = to_own_names(load_file(tmp_path / "model.safetensors"))
    tensors["pos_embed"] = resample_positions(
        tensors["pos_embed"], prefix=0, grid=shape.grid, antialias=bool(shape.registers)
    )
    ours = VisionTransformer(shape).eval()
    ours.load_state_dict(tensors, strict=True)

    with torch.no_grad():
        expected = theirs(pixels(224)).last_hidden_state
        found = ours(pixels(224))

    assert float((found - expected).abs().max()) <= 5e-6 * float(expected.abs().max())


def test_positions_of_another_tile_size_are_resampled_as_timm_does():
    """Kaiko's ViT-L/14 has positions for 518 px and is used at 224 px."""
    timm = load_timm()
    theirs = timm.create_model(
        "vit_large_patch14_reg4_dinov2", img_size=518, depth=1, num_classes=0, dynamic_img_size=True
    )
    scramble(theirs)
    tensors = dict(theirs.state_dict())
    shape = shape_of("kaiko-vitl14", depth=1)
    tensors["pos_embed"] = resample_positions(
        tensors["pos_embed"], prefix=0, grid=shape.grid, antialias=True
    )
    ours = VisionTransformer(shape).eval()
    ours.load_state_dict(tensors, strict=True)

    with torch.no_grad():
        assert torch.equal(ours(pixels(224)), theirs.forward_features(pixels(224)))


def test_a_file_of_the_dinov2_repository_is_read():
    """timm's own conversion of such a file is the referee."""
    timm = load_timm()
    from timm.models.vision_transformer import checkpoint_filter_fn

    ours = scramble(VisionTransformer(shape_of("gpfm", depth=1)))
    own = dict(ours.state_dict())
    class_position = torch.randn(1, 1, 1024, generator=torch.Generator().manual_seed(3))
    foreign = own | {
        "pos_embed": torch.cat([class_position, own["pos_embed"]], dim=1),
        "mask_token": torch.zeros(1, 1024),
    }
    theirs = timm.create_model(
        "vit_large_patch14_dinov2", img_size=224, depth=1, num_classes=0, init_values=1e-5
    ).eval()
    theirs.load_state_dict(checkpoint_filter_fn(dict(foreign), theirs), strict=True)
    read = VisionTransformer(shape_of("gpfm", depth=1)).eval()
    read.load_state_dict(to_own_names(foreign), strict=True)

    assert format_of(foreign) is WeightFormat.DINOV2
    with torch.no_grad():
        found, expected = read(pixels(224)), theirs.forward_features(pixels(224))
    assert float((found - expected).abs().max()) <= 2e-6 * float(expected.abs().max())


def test_a_file_with_too_much_or_too_little_is_refused():
    """Strict loading: a parameter that is not known, and one that is missing."""
    shape = VitShape(tile_px=32, token_px=16, width=24, depth=1, heads=2, mlp_width=48)
    good = VisionTransformer(shape).state_dict()
    for wrong in ({**good, "blocks.0.attn.q_norm.weight": torch.ones(12)}, dict(good)):
        if len(wrong) == len(good):
            wrong.pop("norm.bias")
        with pytest.raises(RuntimeError, match=r"q_norm|norm\.bias"):
            VisionTransformer(shape).load_state_dict(to_own_names(wrong), strict=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"token_px": 15}, "cannot be cut into tokens of 15 px"),
        ({"heads": 5}, "5 heads do not divide a width of 24"),
        ({"gated": True, "mlp_width": 47}, "expected an even number"),
        ({"depth": 0}, "expected positive numbers"),
    ],
)
def test_an_impossible_shape_is_refused(change, said):
    """Before any weight is made."""
    good = {"tile_px": 32, "token_px": 16, "width": 24, "depth": 1, "heads": 2, "mlp_width": 48}
    with pytest.raises(ValueError, match=said):
        VitShape(**{**good, **change})


def test_positions_that_are_no_square_are_refused():
    """Such a file is of another kind of tile."""
    with pytest.raises(ValueError, match="195 positions"):
        resample_positions(torch.zeros(1, 196, 8), prefix=1, grid=7, antialias=True)


def test_resnet_equals_timm_to_the_bit():
    """The whole file is given; the last stage and the classifier are not read."""
    timm = load_timm()
    whole = scramble(timm.create_model("resnet50"))
    theirs = timm.create_model("resnet50", features_only=True, out_indices=[3]).eval()
    kept = theirs.state_dict()
    theirs.load_state_dict({key: value for key, value in whole.state_dict().items() if key in kept})
    ours = ResNet50().eval()
    ours.load_state_dict(resnet_names(whole.state_dict()), strict=True)

    with torch.no_grad():
        expected = torch.nn.AdaptiveAvgPool2d(1)(theirs(pixels(224))[0]).flatten(1)
        found = ours(pixels(224))

    assert torch.equal(found, expected)
    assert float(found.std()) > 0


def test_tiles_are_normalised_and_pooled_as_the_field_does(tmp_path):
    """Written out: /255, minus mean, over std; class token, and the mean without registers."""
    shape = VitShape(tile_px=32, token_px=16, width=24, depth=1, heads=2, mlp_width=48, registers=3)
    network = scramble(VisionTransformer(shape))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    mean, std = (0.7, 0.5, 0.6), (0.2, 0.3, 0.1)
    tiles = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    given = torch.stack([(tiles[..., c].float() / 255 - mean[c]) / std[c] for c in range(3)], dim=1)
    with torch.no_grad():
        tokens = network(given)
        for pooling, expected in {
            "class": tokens[:, 0],
            "mean": tokens[:, 4:].mean(1),
            "class+mean": torch.cat([tokens[:, 0], tokens[:, 4:].mean(1)], dim=1),
        }.items():
            found = TileNetwork(network, mean=mean, std=std, pooling=pooling, prefix=4)(tiles)
            assert torch.equal(found, expected)
            assert found.dtype == torch.float32
