"""A specification names a built-in set with path and options, or a user's factory; mistakes say what was meant."""

import sys

import pytest

from dsd_lang.base.data_sets import DATA_SETS
from dsd_lang.base.errors import DsdError
from dsd_runtime.data.registry import LOADERS, DataSpec, open_data, parse_data_spec, takes_option


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("digits", DataSpec("digits", None, {})),
        ("digits:size=32,channels=3", DataSpec("digits", None, {"size": 32, "channels": 3})),
        ("cifar10:/data/c.tar.gz", DataSpec("cifar10", "/data/c.tar.gz", {})),
        (
            "imagefolder:a,b/c,val=test,augment=false",
            DataSpec("imagefolder", "a,b/c", {"val": "test", "augment": False}),
        ),
        ("imagefolder:C:\\pets,val=0.2", DataSpec("imagefolder", "C:\\pets", {"val": 0.2})),
        ("mine.sets:make,depth=2", DataSpec("mine.sets", "make", {"depth": 2})),
    ],
)
def test_specification(text, expected):
    assert parse_data_spec(text) == expected


def test_unknown_name_names_the_nearest():
    with pytest.raises(DsdError, match="did you mean `digits`"):
        open_data("digit")


def test_unknown_option_names_the_nearest():
    with pytest.raises(DsdError, match="did you mean `channels`"):
        open_data("digits:chanels=3")


def test_a_path_is_required_where_there_is_no_default():
    with pytest.raises(DsdError, match="cifar10:PATH"):
        open_data("cifar10")


def test_an_option_twice_is_refused():
    with pytest.raises(DsdError, match="twice"):
        parse_data_spec("digits:size=8,size=9")


def test_options_in_code_win():
    assert open_data("digits:size=28", size=16).traits.image_shape == (1, 16, 16)


def test_every_loader_of_this_piece_exists():
    import importlib

    for name in ("digits", "scenes", "imagefolder", "cifar10", "flickr8k"):
        module, _, function = LOADERS[name].partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    (tmp_path / "my_sets_for_test.py").write_text(
        "from dsd_runtime.data.registry import open_data\n"
        "def make(*, size=8):\n    return open_data('digits', size=size)\n"
        "def wrong():\n    return object()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_sets_for_test"
    sys.modules.pop("my_sets_for_test", None)


def test_a_users_factory_gets_its_options(user_module):
    assert open_data(f"{user_module}:make,size=12").traits.image_shape == (1, 12, 12)


def test_a_users_factory_must_exist_and_give_a_source(user_module):
    with pytest.raises(DsdError, match="did you mean `my_sets_for_test:make`"):
        open_data(f"{user_module}:mak")
    with pytest.raises(DsdError, match="lacks `name`"):
        open_data(f"{user_module}:wrong")


def test_which_options_a_loader_names(user_module):
    assert takes_option("imagefolder:/any/where,val=0", "recipe")
    assert takes_option(f"{user_module}:make", "size")
    for spec in ("digits", f"{user_module}:make", "digit", "no spec at all"):
        assert not takes_option(spec, "recipe")
    assert not takes_option("imagefolder:/any/where", "path")


def test_every_known_name_has_its_loader():
    assert set(LOADERS) == set(DATA_SETS)
