"""How the paper trained each of its networks: the tables of Han et al., DSD, ICLR 2017.

Lengths, targets and learning rates are those of the tables; if a table leaves out a learning rate, the rule of the
language (section 5 of the reference) gives the same one.
"""

from __future__ import annotations

from dsd_lang.base.named_tuples import NamedTuple


class PaperPhase(NamedTuple):
    """One phase of a table; dense phases have no ``target``."""

    length: str
    lr: str
    target: str = ""
    selectors: str = ""


class PaperRun(NamedTuple):
    """One network of the paper: the table, its `set` without the model, its phases, and the first phase's own decay."""

    table: str
    network: str
    settings: str
    phases: tuple[PaperPhase, ...]
    first_decay: str = ""


_STEPS = "decay=step(33%, 66%, by=0.1)"
_SPEECH_LAYERS = "layers=fc,birnn"


def _image(
    table: str, network: str, first: tuple[str, str], sparse: tuple[str, str], last: tuple[str, str]
) -> PaperRun:
    """The image networks: 30% in all layers, three phases, two drops of the learning rate in each."""
    phases = (PaperPhase(*first), PaperPhase(*sparse, target="30%"), PaperPhase(*last))
    return PaperRun(table, network, _STEPS, phases)


_RESNET = (("90ep", "0.1"), ("45ep", "1e-2"), ("45ep", "1e-3"))
PAPER: dict[str, PaperRun] = {
    "googlenet": _image("Table 2", "GoogLeNet on ImageNet", ("250ep", "1e-2"), ("11ep", "1e-3"), ("22ep", "1e-4")),
    "vgg16": _image("Table 3", "VGG-16 on ImageNet", ("74ep", "1e-2"), ("1.25ep", "1e-4"), ("18ep", "1e-5")),
    "resnet18": _image("Table 4", "ResNet-18 on ImageNet", *_RESNET),
    "resnet50": _image("Table 4", "ResNet-50 on ImageNet", *_RESNET),
    "neuraltalk": PaperRun(
        "Table 5",
        "NeuralTalk on Flickr-8k",
        "",
        (PaperPhase("19ep", "1e-2"), PaperPhase("10ep", "1e-3", "80%", "except=embed"), PaperPhase("6ep", "1e-4")),
    ),
    "ds1": PaperRun(
        "Table 7",
        "Deep Speech 1",
        "",
        (
            PaperPhase("50ep", "8e-4"),
            PaperPhase("50ep", "5e-4", "50%", _SPEECH_LAYERS),
            PaperPhase("50ep", "3e-4"),
            PaperPhase("50ep", "1e-4", "25%", _SPEECH_LAYERS),
            PaperPhase("50ep", "3e-5"),
        ),
    ),
    "ds2": PaperRun(
        "Table 9",
        "Deep Speech 2",
        "",
        (
            PaperPhase("20ep", "3e-4"),
            PaperPhase("20ep", "3e-4", "50%", _SPEECH_LAYERS),
            PaperPhase("20ep", "3e-5"),
            PaperPhase("20ep", "3e-5", "25%", _SPEECH_LAYERS),
            PaperPhase("20ep", "6e-6"),
        ),
    ),
    "resnet20": PaperRun(
        "Table 10",
        "ResNet-20 on CIFAR-10",
        "",
        (PaperPhase("164ep", "0.1"), PaperPhase("45ep", "1e-3", "50%"), PaperPhase("45ep", "1e-4")),
        first_decay="decay=step(81ep, 122ep, by=0.1)",
    ),
}
_DENSE = PaperPhase("20ep", "")
UNKNOWN = PaperRun("Algorithm 1", "", "", (_DENSE, PaperPhase("20ep", "", "50%"), _DENSE))
"""For a network that the paper does not have: its three steps, with the learning rates that the language derives."""
