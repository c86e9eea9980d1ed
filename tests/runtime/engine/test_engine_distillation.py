"""Distillation against plain torch, in a loop of one's own: the loss, the teacher, resuming, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

import dsd_lang
import dsd_runtime
from dsd_lang.base.errors import DsdError

TEXT = "T: dense 2ep lr=0.1; S: sparse 50% 2ep lr=0.05 distill=@T.end(alpha=0.7, T=4); dense lr=0.05"


def new_model(width: int = 8) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, 4))


def batches() -> list[tuple[Tensor, Tensor]]:
    draws = torch.Generator().manual_seed(1)
    return [(torch.randn(10, 6, generator=draws), torch.arange(10) % 4) for _ in range(3)]


def begin(text: str = TEXT, model: nn.Module | None = None, **options) -> dsd_runtime.Session:
    model = model or new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return dsd_runtime.attach(dsd_lang.compile(text), model, optimizer, steps_per_epoch=3, **options)


def update(session: dsd_runtime.Session, inputs: Tensor, labels: Tensor) -> float:
    session.optimizer.zero_grad()
    logits = session.model(inputs)
    loss = session.distilled_loss(functional.cross_entropy(logits, labels), logits, inputs)
    loss.backward()
    session.step()
    return float(loss.detach())


def run(session: dsd_runtime.Session, *, until: int = 10_000) -> None:
    for _ in session.epochs():
        for inputs, labels in session.batches(batches()):
            update(session, inputs, labels)
            if session.total_updates == until:
                return


def test_the_loss_is_that_of_plain_torch() -> None:
    session = begin()
    run(session, until=6)
    expected = new_model()
    expected.load_state_dict(session.model.state_dict())
    session.begin_step()
    inputs, labels = batches()[0]
    expected.eval()
    target = torch.softmax(expected(inputs) / 4, dim=1)
    state = torch.get_rng_state()
    logits = session.model(inputs)
    source = torch.softmax(logits / 4, dim=1)
    divergence = (target * (target.log() - source.log())).sum(dim=1).mean()
    plain = 0.7 * 4**2 * divergence + 0.3 * functional.cross_entropy(logits, labels)
    torch.set_rng_state(state)
    assert session.phase.label == "S"
    assert update(session, inputs, labels) == pytest.approx(float(plain.detach()), rel=1e-5)


def test_the_teacher_is_the_end_of_its_phase_and_stays_so() -> None:
    session = begin()
    assert session.teacher is None
    run(session, until=6)
    end = {name: value.clone() for name, value in session.model.state_dict().items()}
    run(session, until=10)
    teacher = session.teacher
    assert teacher is not None
    assert (teacher.alpha, teacher.temperature, teacher.model.training) == (0.7, 4.0, False)
    assert all(torch.equal(end[name], value) for name, value in teacher.model.state_dict().items())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in teacher.model.parameters())
    run(session)
    assert session.teacher is None


@pytest.mark.parametrize("cut", [5, 6, 7, 11, 12, 13])
def test_a_distilled_phase_resumes_bit_identically(cut: int) -> None:
    whole = begin()
    run(whole)
    first = begin()
    run(first, until=cut)
    state = first.state_dict()  # before `new_model()` seeds the generator
    second = begin(model=new_model())
    second.model.load_state_dict(first.model.state_dict())
    second.load_state_dict(state)
    run(second)
    pairs = zip(whole.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_padding_counts_nothing() -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 5)

        def forward(self, values: Tensor) -> Tensor:
            return self.fc(values)

    torch.manual_seed(0)
    session = begin("T: dense 1it lr=0.1; dense 1it distill=@T.start(alpha=1, T=2)", Tagger())
    session.optimizer.zero_grad()
    session.model(torch.ones(1, 3)).sum().backward()
    session.step()
    session.begin_step()
    inputs, valid = torch.randn(2, 4, 3), torch.tensor([[True, True, True, True], [True, False, False, False]])
    logits = session.model(inputs)
    loss = session.distilled_loss(logits.sum(), logits, inputs, valid=valid)
    assert session.teacher is not None
    with torch.no_grad():
        target = torch.log_softmax(session.teacher.model(inputs) / 2, dim=-1)
    source = torch.log_softmax(logits / 2, dim=-1)
    rows = (target.exp() * (target - source)).sum(dim=-1)
    assert float(loss.detach()) == pytest.approx(4 * float(rows[valid].sum().detach()) / 2, rel=1e-5)


def test_an_update_without_its_teacher_is_refused() -> None:
    session = begin("T: dense 1it lr=0.1; S: dense 2it distill=@T")
    update(session, *batches()[0])
    session.begin_step()
    functional.cross_entropy(session.model(batches()[0][0]), batches()[0][1]).backward()
    with pytest.raises(DsdError, match="phase `S` has `distill=`, and the loss of this update is without its teacher"):
        session.step()


def test_a_teacher_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "teacher.safetensors"
    save_file(new_model(16).state_dict(), file)
    text = f'dense 2it lr=0.1 distill="{file}"(model="wide", T=3)'
    built: list[str] = []

    def build(name: str) -> nn.Module:
        built.append(name)
        return nn.Sequential(*new_model(16))

    session = begin(text, build_teacher=build)
    assert session.teacher is not None
    assert torch.equal(session.teacher.model[0].weight, new_model(16)[0].weight)
    assert set(built) == {"wide"}
    assert update(session, *batches()[0]) > 0


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('dense 1it lr=0.1 distill="{folder}/none.safetensors"', {}, "cannot be read as safetensors"),
        ('dense 1it lr=0.1 distill="{folder}/wide.safetensors"', {}, r"the teacher of phase `p0` has no `0.weight` of"),
        ('dense 1it lr=0.1 distill="{folder}/wide.safetensors"(model="wide")', {}, "nothing says how to build one"),
        (
            'dense 1it lr=0.1; dense 1it distill="{folder}/wide.safetensors"(model="x")',
            {"build_teacher": lambda name: new_model(4)},
            r"the teacher of phase `p1` has no `0.weight` of the shape \(4, 6\); it has one of \(16, 6\)",
        ),
    ],
)
def test_what_cannot_teach_is_refused_when_attaching(tmp_path: Path, text: str, options, message: str) -> None:
    save_file(new_model(16).state_dict(), tmp_path / "wide.safetensors")
    with pytest.raises(DsdError, match=message):
        begin(text.format(folder=tmp_path), **options)


def test_logits_of_another_shape_are_one_sentence() -> None:
    session = begin("T: dense 1it lr=0.1; dense 1it distill=@T")
    update(session, *batches()[0])
    session.begin_step()
    logits = session.model(batches()[0][0])
    with pytest.raises(DsdError, match=r"the teacher's logits are \[10, 4\], and the student's \[10, 3\]"):
        session.distilled_loss(logits.sum(), logits[:, :3], batches()[0][0])
