from sottovoce.progress import part, silent


def test_parts_of_like_size_tell_the_whole():
    told = []
    for number in range(3):
        advance = part(number, 3, lambda done, total: told.append((done, total)))
        advance(2, 4)
        advance(4, 4)
    assert told == [(2, 12), (4, 12), (6, 12), (8, 12), (10, 12), (12, 12)]


def test_an_unknown_size_and_nobody_listening_do_no_harm():
    assert part(1, 2, silent)(3, None) is None
