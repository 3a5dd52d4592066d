"""Dumps as they are read: every spelling of a value, and that half a dump is no dump."""

import pytest

from dnslb_backend.errors import SourceError
from dnslb_backend.importers.sql_dump import read_tables

HEAD = """CREATE TABLE `t` (
  `id` int(11) NOT NULL DEFAULT 0,
  `x` decimal(3,1),
  PRIMARY KEY (`id`));
"""


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'a'", "a"),
        ("'it''s'", "it's"),
        (r"'it\'s'", "it's"),
        (r"'a\nb\0\Z\%'", "a\nb\0\x1a%"),
        (r"'\\'", "\\"),
        ('"a ""b"" \'c\'"', "a \"b\" 'c'"),
        ("NULL", None),
        ("-12", -12),
        ("1.5", "1.5"),
        ("_utf8mb4'a'", "a"),
        ("'a;b) VALUES (1'", "a;b) VALUES (1"),
        ("'-- no comment /* */'", "-- no comment /* */"),
        ("'é \U0001f600'", "é \U0001f600"),
    ],
)
def test_values_are_read_in_all_their_spellings(written: str, value: object) -> None:
    text = f"{HEAD}INSERT INTO `t` VALUES (1,{written}),(2,NULL);"
    assert read_tables(text, {"t"}, "x")["t"] == [{"id": 1, "x": value}, {"id": 2, "x": None}]


def test_columns_that_an_insert_names_come_before_those_of_the_table() -> None:
    text = f"{HEAD}INSERT INTO `powergslb`.`t` (`x`, `id`) VALUES ('a', 1);"
    assert read_tables(text, {"t"}, "x") == {"t": [{"x": "a", "id": 1}]}


def test_routines_comments_and_other_tables_are_passed_over() -> None:
    text = (
        "-- a comment; with 'a quote\n/*!40101 SET NAMES utf8 */;\n# another\n"
        + HEAD
        + "DELIMITER ;;\nCREATE TRIGGER `a` BEFORE INSERT ON `t` FOR EACH ROW BEGIN\n"
        "INSERT INTO `t` VALUES (9,9); END ;;\nDELIMITER ;\n"
        "INSERT INTO `users` VALUES (1,'secret');\nINSERT INTO `t` VALUES (1,2);\n"
    )
    assert read_tables(text, {"t"}, "x") == {"t": [{"id": 1, "x": 2}]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{HEAD}INSERT INTO `t` VALUES (1,'a", "line 5"),
        (f"{HEAD}INSERT INTO `t` VALUES (1,'a'),", "INSERT INTO `t` … does not end"),
        (f"-- MySQL dump 10.1\n{HEAD}INSERT INTO `t` VALUES (1,'a');\n", "cut off"),
        (f"-- MariaDB dump 10.1\n{HEAD}", "cut off"),
        (f"{HEAD}INSERT INTO `t` VALUES (1);", "1 values for 2 columns"),
        (f"{HEAD}INSERT INTO `t` SELECT 1;", "no VALUES"),
        (f"{HEAD}INSERT INTO `t`;", "no VALUES"),
        (f"{HEAD}INSERT INTO `t` (`id`;", "no VALUES"),
        ("INSERT INTO `t` VALUES (1,2);", "2 values for 0 columns"),
        ("\x00\x01\x02", "line 1"),
        ("/*" * 1_000_000, "line 1"),
        (
            "DELIMITER x\n" * 100_000 + "CREATE TABLE `t` (`id` int);\nDELIMITER ;\nINSERT",
            "cut off",
        ),
    ],
)
def test_half_a_dump_is_refused_with_one_line(text: str, why: str) -> None:
    with pytest.raises(SourceError, match="x: ") as refusal:
        read_tables(text, {"t"}, "x")
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)
