"""A small CNN learns handwritten digits by a dense-sparse-dense schedule in Lightning."""

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from dsd_runtime.integrations.lightning import SparsitySchedule


class Digits(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        convolutions = (nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU())
        self.network = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(512, 10))

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        self.log("val_err", (self.network(batch[0]).argmax(1) != batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:  # without a scheduler: the schedule sets the rate
        return torch.optim.AdamW(self.parameters())


def main(folder: str = "runs/digits") -> SparsitySchedule:
    lightning.seed_everything(0)
    images, labels = map(torch.tensor, load_digits(return_X_y=True))
    train, val = random_split(TensorDataset(images.float().view(-1, 1, 8, 8) / 16, labels), [0.8, 0.2])
    schedule = SparsitySchedule("dense 3ep lr=2e-3; sparse 80% 3ep; dense lr=2e-4 state=reset", events=folder)
    loaders = DataLoader(train, batch_size=64, shuffle=True), DataLoader(val, batch_size=512)
    lightning.Trainer(max_epochs=9, callbacks=[schedule], default_root_dir=folder).fit(Digits(), *loaders)
    return schedule


if __name__ == "__main__":
    print(main().session)
