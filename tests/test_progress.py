from sottovoce.progress import Course, part, silent


def test_parts_of_like_size_tell_the_whole():
    told = []
    for number in range(3):
        advance = part(number, 3, lambda *heard: told.append(heard))
        advance(2, 4)
        advance(4, 4, {"loss": number})
    assert told == [
        (2, 12, None),
        (4, 12, {"loss": 0}),
        (6, 12, None),
        (8, 12, {"loss": 1}),
        (10, 12, None),
        (12, 12, {"loss": 2}),
    ]


def test_an_unknown_size_and_nobody_listening_do_no_harm():
    assert part(1, 2, silent)(3, None) is None
    assert silent(1, 2, {"loss": 0.5}) is None


def test_a_training_is_told_by_the_mean_loss_of_its_epoch_and_its_last_validation_error():
    course, said = Course(), []
    for job, epoch, figures in [
        ("fold-0", 1, {"loss": 1.0}),
        ("fold-0", 1, {"loss": 0.5}),
        ("fold-0", 1, {"epoch_loss": 0.75, "validation_mae": 5.125}),
        ("fold-0", 2, {"loss": 0.25}),
        ("fold-0", 2, {"epoch_loss": 0.25, "validation_mae": None}),
        ("final", 1, {"loss": 0.8}),
    ]:
        said.append(course.told({"job": job, "epoch": epoch, "step": 1, **figures}))
    assert said == [
        "fold-0, epoch 1: loss 1.000",
        "fold-0, epoch 1: loss 0.750",
        "fold-0, epoch 1: loss 0.750, validation MAE 5.12",
        "fold-0, epoch 2: loss 0.250, validation MAE 5.12",
        "fold-0, epoch 2: loss 0.250, validation MAE 5.12",
        "final, epoch 1: loss 0.800",
    ]
