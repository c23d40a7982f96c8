import pytest

from newsletter.errors import InvalidError
from newsletter.ingest.subscriber_csv import BrokenLine, SubscriberLine, read_subscriber_file


def lines(content: str | bytes) -> list[SubscriberLine | BrokenLine]:
    data = content.encode() if isinstance(content, str) else content
    return list(read_subscriber_file(data, name="readers.csv").lines())


def test_all_columns_are_read_by_their_names_in_any_order():
    [line] = lines(
        "Cadence,E-mail,Language,Topics,kinds,languages\nWeekly, aida@example.org ,RU,sdg-3|sdg-4,story speech,en;ky\n"
    )

    expected = SubscriberLine(
        2, "aida@example.org", "ru", "weekly", ("sdg-3", "sdg-4"), ("story", "speech"), ("en", "ky")
    )
    assert expected == line


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(delimiter):
    [line] = lines(f"address{delimiter}language\na@example.org{delimiter}ky\n")

    assert SubscriberLine(2, "a@example.org", "ky") == line


@pytest.mark.parametrize(
    ("header", "codec"),
    [("address", "utf-8"), ("address", "utf-8-sig"), ("Электронная почта", "cp1251"), ("Дарек", "utf-16")],
)
def test_the_encoding_is_found_out(header, codec):
    file = read_subscriber_file(f"{header};Язык\na@example.org;ky\n".encode(codec), name="readers.csv")

    assert [SubscriberLine(2, "a@example.org", "ky")] == list(file.lines())
    assert codec.removesuffix("-sig") == file.encoding


def test_a_file_of_one_column_needs_no_header():
    assert [SubscriberLine(1, "a@example.org"), SubscriberLine(3, "b@example.org")] == lines(
        "a@example.org\n\nb@example.org\n"
    )


def test_a_row_is_known_by_the_line_it_begins_on_even_after_a_field_of_several_lines():
    found = lines('address,remark\na@example.org,"one\ntwo"\nb@example.org,\n')

    assert [2, 4] == [line.number for line in found]


def test_columns_that_mean_nothing_here_are_reported():
    file = read_subscriber_file(b"Name,address,Phone\nAida,a@example.org,1\n", name="readers.csv")

    assert ("name", "phone") == file.ignored
    assert [SubscriberLine(2, "a@example.org")] == list(file.lines())


def test_short_rows_are_read_and_rows_with_too_many_fields_are_not():
    short, long = lines("address,language\na@example.org\nb@example.org,en,weekly\n")

    assert SubscriberLine(2, "a@example.org") == short
    assert isinstance(long, BrokenLine)
    assert 3 == long.number
    assert "quotes" in long.why


def test_a_field_beyond_all_measure_costs_its_row_only():
    broken, fine = lines("address,language\n" + "x" * 200_000 + ",en\nb@example.org,en\n")

    assert isinstance(broken, BrokenLine)
    assert SubscriberLine(3, "b@example.org", "en") == fine


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"name,phone\nAida,1\n", "no column of addresses.*'name', 'phone'"),
        (b"email,address\na@example.org,b@example.org\n", "2 columns for address"),
        (b"PK\x03\x04\x00\x00", "no text file"),
        (b"\xff\xfe\x00", "no text file"),
        (b"x" * 200_000, "cannot be read as CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_name(content, words):
    with pytest.raises(InvalidError, match=f"readers.csv.*{words}"):
        read_subscriber_file(content, name="readers.csv")
