import pytest

from bench.markdown import table, write_between_marks


def test_a_table_has_a_line_a_row():
    lines = table(["what", "ms"], [["one", "1.0"], ["two", "2.0"]])
    assert lines == ["| what | ms |", "| --- | --- |", "| one | 1.0 |", "| two | 2.0 |"]


def test_a_new_text_replaces_what_is_between_the_marks_of_its_name(tmp_path):
    readme = tmp_path / "README.md"
    before = "# A\n<!-- a: begin -->\nold\n<!-- a: end -->\n<!-- b: begin -->\n<!-- b: end -->\n"
    readme.write_text(before)
    for _ in range(2):
        write_between_marks(readme, "a", "new\ntext")
        assert readme.read_text() == before.replace("old", "new\ntext")


def test_a_readme_without_marks_stays_as_it_is(tmp_path):
    readme = tmp_path / "README.md"
    for text in ("nothing", "<!-- a: begin -->", "<!-- a: end --><!-- a: begin -->"):
        readme.write_text(text)
        with pytest.raises(ValueError, match="lacks <!-- a: begin --> or <!-- a: end -->"):
            write_between_marks(readme, "a", "new")
        assert readme.read_text() == text
