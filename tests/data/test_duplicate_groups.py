import numpy as np

from foodjax.data.duplicate_groups import group_numbers, rows_to_drop
from foodjax.data.duplicates import Pair

PAIRS = [
    Pair("train", 9, "train", 4, "near", "within a class"),
    Pair("train", 4, "test", 0, "near", "between parts"),
    Pair("train", 1, "train", 2, "exact", "within a class"),
    Pair("validation", 3, "test", 7, "exact", "between parts"),
    Pair("train", 8, "validation", 3, "exact", "between parts"),
    Pair("train", 6, "test", 7, "near", "between parts"),
]


def test_rows_to_drop_follow_duplicates_of_duplicates():
    assert rows_to_drop(PAIRS).tolist() == [4, 6, 8, 9]
    assert rows_to_drop(PAIRS[::-1]).tolist() == [4, 6, 8, 9]
    assert rows_to_drop([]).tolist() == []


def test_groups_follow_duplicates_of_duplicates_through_other_parts():
    rows = np.array([9, 8, 7, 6, 4, 3, 2, 1])
    for pairs in (PAIRS, PAIRS[::-1]):
        found = group_numbers(pairs, "train", rows)
        groups = [rows[found == number].tolist() for number in dict.fromkeys(found.tolist())]
        assert groups == [[9, 4], [8, 6], [7], [3], [2, 1]]  # 3 of validation is another photograph


def test_photographs_without_duplicates_are_groups_of_their_own():
    assert group_numbers([], "train", np.array([5, 3, 4])).tolist() == [0, 1, 2]
    assert len(set(group_numbers(PAIRS, "train", np.arange(100, 150)).tolist())) == 50
