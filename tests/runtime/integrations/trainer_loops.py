"""The plain loop that every trainer must equal bit for bit, and its network and data."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import AdamW

import dsd_lang
from dsd_runtime import attach

ACCUMULATION, CLIP, BATCH = 2, 0.05, 4
UPDATES = 4
"""Updates in a pass over the data: seven batches, the last accumulation has one."""

SPARSE = "dense 3it lr=1e-2 decay=cosine; sparse 50% 9it state=reset"
"""Three passes; the end of the second is in the middle of the sparse phase."""

GROUPED = SPARSE.replace("lr=1e-2", "lr=[output: 1e-3, all: 1e-2]") + " freeze=output"
"""The same, with a rate of its own for the last layer, which is frozen in the sparse phase."""

ENFORCED = f"{SPARSE} enforce=srste(decay=0.01)"
"""The same, with pruned weights that train on."""


MOVING = f"{SPARSE} update=rigl(drop=50%, every=2it, until=100%)"
"""The same, with masks that move."""


def network(seed: int = 0) -> nn.Sequential:
    """A perceptron with dropout, so that the random generators matter."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))


def samples() -> tuple[Tensor, Tensor]:
    """27 features [27, 6] and labels [27]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(27, 6, generator=generator), torch.randint(0, 3, (27,), generator=generator)


def dataset() -> torch.utils.data.TensorDataset:
    return torch.utils.data.TensorDataset(*samples())


def adamw(model: nn.Module) -> AdamW:
    return AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)


def loader(*, generator: torch.Generator | None = None) -> torch.utils.data.DataLoader[tuple[Tensor, ...]]:
    """Batches in order; a pass draws one number from ``generator``, by default torch's global one."""
    return torch.utils.data.DataLoader(dataset(), batch_size=BATCH, generator=generator)


def plain_loop(
    text: str = SPARSE,
    *,
    clip: float | None = CLIP,
    generator: torch.Generator | None = None,
    last_accumulation: int = ACCUMULATION,
) -> tuple[nn.Module, dict[str, Tensor]]:
    """The model and the masks that the plain loop ends with.

    The last batch of a pass is alone; its loss is divided by ``last_accumulation``.
    """
    model = network()
    optimizer = adamw(model)
    session = attach(dsd_lang.compile(text), model, optimizer, steps_per_epoch=UPDATES)
    torch.manual_seed(5)
    model.train()
    batches = loader(generator=generator)
    while not session.done:
        for number, (x, y) in enumerate(batches, start=1):
            session.begin_step()
            loss = nn.functional.cross_entropy(model(x), y)
            (loss / (last_accumulation if number == len(batches) else ACCUMULATION)).backward()
            if number % ACCUMULATION == 0 or number == len(batches):
                session.step(clip=clip)
                optimizer.zero_grad()
                if session.done:
                    break
    return model, {name: mask.clone() for name, mask in session.masks.items()}


def assert_equal_bits(model: nn.Module, other: nn.Module) -> None:
    """The two models have the same parameters to the last bit."""
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(one.detach().view(torch.int32), two.detach().view(torch.int32)) for one, two in pairs)
