"""Made-up files in the form of the corpora, written by hand."""

from pathlib import Path

SAID = "the week was long and i was mostly at home and did not do much of what i had planned"
"""Enough words that three such answers may be read."""

DEP_WOR = (
    "Depselect,Worselect,Depword,Worword,Depphrase,Worphrase,Deptext,Wortext,Gender,Age,PHQ9tot\n"
)


def dep_wor(folder: Path, *people: tuple[str, str, str]) -> Path:
    """Write a table of people given as gender, age and total."""
    rows = [
        f'x,y,"low, {SAID}",uneasy,"{SAID}",on edge,"{SAID}",fine,{gender},{age},{total}'
        for gender, age, total in people
    ]
    return write(folder / "dep_wor_data.csv", DEP_WOR + "\n".join(rows) + "\n")


def covid_worry(folder: Path, *people: str) -> Path:
    """Write a table of people given as sex, age, language and four ratings."""
    columns = "uid,Sex_wave1,age_wave1,eng_native_wave1,"
    columns += ",".join(
        f"{name}_wave{wave}"
        for wave in (1, 2)
        for name in ("sadness", "anxiety", "startdate", "text_long", "text_short")
    )
    rows = []
    for number, each in enumerate(people):
        sex, age, language, sad, anxious, sadder, calmer = each.split(",")
        first = f'{sad},{anxious},2020-04-06 12:00:00,"{SAID} {SAID} {SAID}",{SAID}'
        second = f'{sadder},{calmer},2021-03-05 13:00:00,"{SAID} {SAID} {SAID}",short'
        rows.append(f"{number},{sex},{age},{language},{first},{second}")
    return write(folder / "rw3d_repeated_clean.csv", columns + "\n" + "\n".join(rows) + "\n")


SPLIT = "Participant_ID,PHQ8_Binary,PHQ8_Score,Gender\n"
FULL_TEST = "Participant_ID,PHQ_Binary,PHQ_Score,Gender\n"


def interview(folder: Path, session: int, *, ellie: bool = True, flat: bool = False) -> Path:
    """Write a transcript of six answers, one a minute from the second minute on."""
    lines = ["start_time\tstop_time\tspeaker\tvalue"]
    for minute in range(2, 8):
        if ellie:
            lines.append(f"{minute * 60}\t{minute * 60 + 2}\tEllie\tand how was it then")
        lines.append(f"{minute * 60 + 10}\t{minute * 60 + 20}\tParticipant\t{SAID} {minute}")
    place = folder if flat else folder / f"{session}_P"
    return write(place / f"{session}_TRANSCRIPT.csv", "\n".join(lines) + "\n")


def daic_woz(folder: Path, *, test: bool = True) -> Path:
    """Write a small corpus: a session of each kind that is known to be broken, and whole ones."""
    split = {
        "train_split_Depression_AVEC2017.csv": (303, 304, 318, 373),
        "dev_split_Depression_AVEC2017.csv": (302, 342, 458),
    }
    for name, sessions in split.items():
        rows = [f"{each},0,{each % 20},{each % 2}" for each in sessions]
        write(folder / name, SPLIT + "\n".join(rows) + "\n")
    write(folder / "test_split_Depression_AVEC2017.csv", "participant_ID,Gender\n300,1\n409,0\n")
    if test:
        write(folder / "full_test_split.csv", FULL_TEST + "300,0,2,1\n301,0,3,1\n409,0,10,0\n")
    for session in (300, 303, 304, 318, 342, 373, 409):
        interview(folder, session, flat=session == 304)
    interview(folder, 302)
    interview(folder, 458, ellie=False)
    return folder


E_DAIC = "Participant_ID,Gender,PHQ_Binary,PHQ_Score,PCL-C (PTSD),PTSD Severity\n"


def e_daic(folder: Path) -> Path:
    """Write a small corpus of two training people, one of development and one of test."""
    for name, rows in {
        "train_split.csv": "302,male,0,4,0,28.0\n303,female,0,0,0,17.0\n",
        "dev_split.csv": "601,female,1,12,0,40.0\n",
        "test_split.csv": "602,male,0,3,0,20.0\n",
    }.items():
        write(folder / "labels" / name, E_DAIC + rows)
    for session in (302, 303, 601, 602):
        lines = ["Start_Time,End_Time,Text,Confidence"]
        lines += [f'{minute * 60}.5,{minute * 60 + 9},"{SAID}, yes",0.93' for minute in range(6)]
        place = folder / "data" / f"{session}_P" / f"{session}_Transcript.csv"
        write(place, "\n".join([*lines, "400,401,,0.1"]) + "\n")
    return folder


def write(path: Path, text: str) -> Path:
    """Write a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
