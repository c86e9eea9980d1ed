"""A tiny GPT-2, from scratch, learns sums by a dense-sparse-dense schedule in the Transformers trainer."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from dsd_runtime.integrations.transformers import SparsitySchedule

LETTERS = "0123456789+=;"
SCHEDULE = """
dense 4ep lr=3e-3 warmup=1ep
sparse 50% layers=fc except=output 4ep   # the Conv1D of GPT-2 are `fc`; the head is tied to the embedding
dense lr=3e-4 state=reset
"""


def sums(is_test: bool) -> list[dict[str, torch.Tensor]]:
    """Samples such as `07+35=42;`; every fifth sum is for the test."""
    pairs = [(a, b) for a in range(50) for b in range(50) if ((7 * a + 3 * b) % 5 == 0) == is_test]
    rows = [torch.tensor([LETTERS.index(letter) for letter in f"{a:02}+{b:02}={a + b:02};"]) for a, b in pairs]
    return [{"input_ids": row, "labels": row} for row in rows]


def main(folder: str = "runs/gpt2") -> SparsitySchedule:
    torch.manual_seed(0)
    shape = {"n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 16, "vocab_size": len(LETTERS)}
    model = GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=0, eos_token_id=0))
    schedule = SparsitySchedule(SCHEDULE, events=f"{folder}/events")
    arguments = TrainingArguments(
        folder, num_train_epochs=12, per_device_train_batch_size=50, per_device_eval_batch_size=500,
        gradient_accumulation_steps=2, eval_strategy="epoch", save_strategy="epoch", save_total_limit=1, seed=0,
    )  # fmt: skip
    trainer = Trainer(model, arguments, train_dataset=sums(False), eval_dataset=sums(True), callbacks=[schedule],
                      optimizers=(None, schedule.rates))  # fmt: skip
    trainer.train()
    return schedule


if __name__ == "__main__":
    print(main().session)
