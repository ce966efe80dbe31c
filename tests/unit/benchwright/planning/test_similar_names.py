from benchwright.planning.similar_names import meant


def test_the_most_similar_known_name_is_offered() -> None:
    assert meant("passwrd", ["password", "passwords", "groups"]) == " (did you mean password?)"


def test_nothing_is_offered_where_none_resembles() -> None:
    assert meant("colour", ["password", "groups"]) == ""
