"""Train the digits network and write digits.onnx.

It needs PyTorch, which weft itself does not; in a virtual environment of its own::

    pip install -e '.[demo]' torch==2.13.0 onnxscript
    python examples/digits/train.py

The network is small enough for an iCE40UP5K: 2,696 weights, fewer than 256 tiles of a
4 x 4 array even with those that pools need, channel counts in multiples of 8. Its input
is the raw pixels, 0 to 16. Weights are clipped while training, so that per-tensor scales
that are powers of two do not hurt. The seed is fixed and the training runs in one
thread: the same versions on the same machine write the same bytes.

README.md in this folder records the seed, versions and accuracy of the committed file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from weft.examples.digits.data import Digits, load_digits

SEED = 1
EPOCHS = 60
BATCH = 64
#: Weights stay within: no single one stretches its layer's scale, and all codes are used.
LIMIT = 127 / 256
#: Pixels are from 0 to 16; the first layer's weights carry the division.
PIXEL_RANGE = 16.0
OPSET = 18


class DigitsNet(nn.Module):
    """Three convolutions, a pool after two of them, and a dense layer: 97,088 MACs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(16, 8, 3, padding=1)
        self.pool3 = nn.MaxPool2d(2)
        self.dense = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.relu(self.conv1(image))
        x = self.pool2(functional.relu(self.conv2(x)))
        x = self.pool3(functional.relu(self.conv3(x)))
        return self.dense(torch.flatten(x, 1))


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, scale and shift a little, a different way for each image."""
    n = len(images)
    angle = (torch.rand(n, generator=generator) - 0.5) * 0.25
    zoom = 1 + (torch.rand(n, generator=generator) - 0.5) * 0.125
    move = (torch.rand(n, 2, generator=generator) - 0.5) * 0.2
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    matrix = torch.stack(
        [torch.stack([cos, -sin, move[:, 0]], 1), torch.stack([sin, cos, move[:, 1]], 1)], 1
    )
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def train(digits: Digits, epochs: int, seed: int) -> DigitsNet:
    """Train on the training images; the held-out ones are not looked at."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(seed)
    images = torch.from_numpy(digits.train_images) / PIXEL_RANGE
    labels = torch.from_numpy(digits.train_labels)
    model = DigitsNet()
    weights = [p for name, p in model.named_parameters() if name.endswith("weight")]
    steps = epochs * -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=8e-3, total_steps=steps)
    for epoch in range(epochs):
        for chosen in torch.randperm(len(images), generator=generator).split(BATCH):
            batch = augment(images[chosen], generator)
            loss = functional.cross_entropy(model(batch), labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for w in weights:
                    w.clamp_(-LIMIT, LIMIT)
        if epoch % 20 == 19:
            print(f"epoch {epoch + 1}: loss {loss.item():.4f}", flush=True)
    with torch.no_grad():
        model.conv1.weight.div_(PIXEL_RANGE)
    return model.eval()


def accuracy(model: DigitsNet, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest logit is the label's."""
    with torch.no_grad():
        logits = model(torch.from_numpy(images)).numpy()
    return float(np.mean(logits.argmax(1) == labels))


def export(model: DigitsNet, path: Path) -> None:
    """Write the model, without the exporter's notes on where it was exported."""
    example = torch.zeros(2, 1, 8, 8)
    program = torch.onnx.export(
        model, (example,), input_names=["image"], output_names=["logits"], opset_version=OPSET,
        dynamo=True, dynamic_shapes={"image": {0: torch.export.Dim("batch")}}, verbose=False,
    )  # fmt: skip
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    proto = program.model_proto
    graph = proto.graph
    del proto.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for item in [*graph.node, *graph.initializer, *graph.input, *graph.output]:
        del item.metadata_props[:]
        item.doc_string = ""
    for node in graph.node:
        if node.name.startswith("node_"):
            node.name = node.name.removeprefix("node_")
    graph.name = "digits"
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def main() -> None:
    """Train, report, write."""
    parser = argparse.ArgumentParser(description="Train the digits network, write digits.onnx.")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "digits.onnx")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    digits = load_digits()
    model = train(digits, options.epochs, options.seed)
    for name, images, labels in (
        ("training", digits.train_images, digits.train_labels),
        ("held-out", digits.test_images, digits.test_labels),
    ):
        print(f"{name}: {accuracy(model, images, labels):.2%} of {len(labels)} images")
    export(model, options.output)
    print(f"{options.output}: {options.output.stat().st_size} bytes, torch {torch.__version__}")


if __name__ == "__main__":
    main()
