from __future__ import annotations

import os
import stat

import pytest

from sentinel import files


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_replaced_file_is_whole_and_leaves_no_draft(tmp_path):
    for data in (b"old and longer", b"new"):
        files.write(tmp_path / "file", data, 0o600)
        assert (tmp_path / "file").read_bytes() == data
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
        assert names(tmp_path) == {"file"}


def test_a_draft_that_a_death_left_is_in_nobodys_way(tmp_path):
    (tmp_path / ".file.new").write_bytes(b"half of")
    (tmp_path / ".file.new").chmod(0o666)
    files.write(tmp_path / "file", b"whole", 0o600)
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert names(tmp_path) == {"file"}


def test_a_link_that_waits_at_the_drafts_name_is_not_followed(tmp_path):
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / ".file.new").symlink_to(tmp_path / "other")
    files.write(tmp_path / "file", b"whole", 0o600)
    assert (tmp_path / "other").read_bytes() == b"other"
    assert names(tmp_path) == {"file", "other"}


def test_where_it_cannot_be_written_the_old_stays_and_no_draft_is_left(tmp_path):
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "kept").write_bytes(b"old")
    with pytest.raises(IsADirectoryError):
        files.write(tmp_path / "file", b"new", 0o600)
    assert names(tmp_path) == {"file"}
    assert names(tmp_path / "file") == {"kept"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_belongs_to_whoever_owns_the_folder(tmp_path):
    os.chown(tmp_path, 4321, 4322)
    files.write(tmp_path / "key", b"x", 0o600)
    found = (tmp_path / "key").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (4321, 4322, 0o600)
