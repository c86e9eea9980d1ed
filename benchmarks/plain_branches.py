"""The sweep of `benchmarks/branches.py` written by hand, without dsd: the floor that a scheduler can be compared with.

One trunk, then branches in a pool of processes: magnitude pruning once, masks kept by a multiplication after each
update, an evaluation after each pass, the weights saved at the end.

    python benchmarks/plain_branches.py FOLDER --jobs N [--by pool|joblib|ray|tune]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

SHARES = tuple(round(0.03 * number, 2) for number in range(1, 33))
BATCH, RATE, VALIDATION, TEST = 60, 0.05, 180, 359


def network() -> nn.Module:
    """`conv2` on 8x8 pixels."""
    convolutions = [nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()]
    dense = [nn.Linear(64 * 16, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*convolutions, nn.MaxPool2d(2), nn.Flatten(), *dense)


def splits() -> tuple[tuple[Tensor, Tensor], ...]:
    """Training, validation and test samples."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(digits.images, dtype=torch.float32)[order].unsqueeze(1) / 16
    labels = torch.tensor(digits.target)[order]
    ends = (VALIDATION, VALIDATION + TEST, len(labels))
    return tuple((images[begin:end], labels[begin:end]) for begin, end in zip((0, *ends), ends, strict=False))


def train(model: nn.Module, epochs: int, masks: dict[str, Tensor]) -> float:
    """Plain SGD with momentum; returns the test error."""
    validation, test, (images, labels) = splits()
    parameters = dict(model.named_parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, nesterov=True, weight_decay=1e-4)
    draws = torch.Generator().manual_seed(1)
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(labels), generator=draws).split(BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
            with torch.no_grad():
                for name, mask in masks.items():
                    parameters[name].mul_(mask)
        error(model, validation)
    return error(model, test)


def error(model: nn.Module, split: tuple[Tensor, Tensor]) -> float:
    """The share of samples that are told wrongly."""
    model.eval()
    with torch.no_grad():
        return float((model(split[0]).argmax(1) != split[1]).float().mean())


def branch(folder: str, share: float, epochs: int) -> float:
    """One branch, in whatever process it is called."""
    torch.set_num_threads(1)
    model = network()
    model.load_state_dict(load_file(Path(folder, "trunk.safetensors")))
    masks = {}
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            kept = weight.numel() - round(share * weight.numel())
            smallest = weight.detach().abs().flatten().kthvalue(max(1, weight.numel() - kept)).values
            masks[name] = weight.detach().abs() > smallest
    result = train(model, epochs, masks)
    save_file(model.state_dict(), Path(folder, f"{share}.safetensors"))
    return result


def by_pool(folder: str, epochs: int, jobs: int) -> Sequence[float]:
    """The standard library's pool of processes."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return list(pool.map(branch, [folder] * len(SHARES), SHARES, [epochs] * len(SHARES)))


def by_joblib(folder: str, epochs: int, jobs: int) -> Sequence[float]:
    """joblib's pool (loky)."""
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=jobs)(delayed(branch)(folder, share, epochs) for share in SHARES))


def by_ray(folder: str, epochs: int, jobs: int) -> Sequence[float]:
    """Tasks of a Ray cluster that is started for it."""
    import ray

    ray.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False)
    task = ray.remote(branch)
    return list(ray.get([task.remote(folder, share, epochs) for share in SHARES]))


def by_tune(folder: str, epochs: int, jobs: int) -> Sequence[float]:
    """A grid search of Ray Tune, one trial a branch."""
    import ray
    from ray import tune

    ray.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False)

    def trial(config: dict[str, Any]) -> None:
        tune.report({"error": branch(folder, config["share"], epochs)})

    tuner = tune.Tuner(
        trial,
        param_space={"share": tune.grid_search(list(SHARES))},
        run_config=tune.RunConfig(storage_path=str(Path(folder).absolute()), verbose=0),
    )
    return [float(result.metrics["error"]) for result in tuner.fit() if result.metrics is not None]


WAYS: dict[str, Callable[[str, int, int], Sequence[float]]] = {
    "pool": by_pool,
    "joblib": by_joblib,
    "ray": by_ray,
    "tune": by_tune,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--by", choices=WAYS, default="pool")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    began = time.monotonic()
    options.folder.mkdir(parents=True, exist_ok=True)
    trunk = network()
    train(trunk, options.epochs, {})
    save_file(trunk.state_dict(), options.folder / "trunk.safetensors")
    errors = WAYS[options.by](str(options.folder), options.epochs, options.jobs)
    print(f"{len(errors)} branches, mean test error {sum(errors) / len(errors):.2%}, {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
