"""tui.toml: read strictly, and written into without disturbing what its owner wrote."""

from __future__ import annotations

import pytest

from sentinel.errors import ConfigError
from sentinel.tui import setup
from sentinel.tui.look import Skin


def test_there_need_be_no_files(tmp_path):
    made = setup.load(tmp_path / "none", tmp_path, {})
    assert (made.tui.skin, made.tui.ascii, made.tui.views) == (None, False, {})


def test_it_says_what_it_means(tmp_path):
    (tmp_path / "tui.toml").write_text('skin = "deut"\nascii = true\n[views]\nmine = "host=db"\n')
    made = setup.load(tmp_path, tmp_path, {"approve": ("x",)})
    assert made.tui == setup.TuiSettings(skin=Skin.DEUT, ascii=True, views={"mine": "host=db"})
    assert made.keys == {"approve": ("x",)}


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ('skin = "pink"', "skin", ""),
        ('skn = "deut"', "skn", "did you mean `skin`?"),
        ('[views]\nmine = "hots=x"', "views.mine: there is no field hots", "did you mean host?"),
        ('[views]\n"a b" = "x"', "views", ""),
        ("[views", "is not TOML", ""),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, what, hint):
    (tmp_path / "tui.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        setup.load(tmp_path, tmp_path, {})
    assert what in caught.value.what
    assert str(tmp_path / "tui.toml") in caught.value.what
    assert hint in caught.value.hint


MINE = '# my terminal\nskin = "deut"  # blue\n\n[views]  # what I watch\nmine = "host=db"\nweb = "host=web"\n'


def test_a_view_is_put_in_where_the_views_are():
    after = setup.with_view(MINE, "new", 'a "quoted" word')
    assert after == MINE.replace(
        "[views]  # what I watch\n", '[views]  # what I watch\nnew = "a \\"quoted\\" word"\n'
    )


def test_a_view_that_is_there_is_replaced_where_it_stands():
    assert setup.with_view(MINE, "mine", "host=x") == MINE.replace("host=db", "host=x")


def test_the_first_view_brings_its_table():
    assert setup.with_view("", "a", "x") == '[views]\na = "x"\n'
    assert setup.with_view("ascii = true", "a", "x") == 'ascii = true\n\n[views]\na = "x"\n'


def test_what_is_saved_is_read_again_and_private(tmp_path):
    saved = setup.save_view(tmp_path / "new", "mine", "host=db !state=manual")
    assert saved.views == {"mine": "host=db !state=manual"}
    assert setup.read(tmp_path / "new" / "tui.toml") == saved
    assert (tmp_path / "new" / "tui.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["", "A", "a b", "x" * 40, 'a"', "a]"])
def test_a_name_that_is_none_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(ConfigError):
        setup.save_view(tmp_path, name, "host=db")
    assert not (tmp_path / "tui.toml").exists()


def test_views_in_a_form_of_their_own_stay_as_they_are(tmp_path):
    path = tmp_path / "tui.toml"
    path.write_text('views = { mine = "host=db" }\n')
    with pytest.raises(ConfigError):
        setup.save_view(tmp_path, "mine", "host=x")
    assert path.read_text() == 'views = { mine = "host=db" }\n'
