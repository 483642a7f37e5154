"""Where the files of a corpus lie: in the folder that was named, or somewhere below it.

Owns finding them and the sentence that says what is missing. Does not know what is in them.
"""

from pathlib import Path

from sottovoce.errors import DataError


def corpus_folder(path: str | Path | None, name: str) -> Path:
    """Give the folder that was named.

    Raises
    ------
    DataError
        If none was, or there is no such folder.
    """
    if path is None:
        raise DataError(f"{name} does not come with the package", fix="name the folder it lies in")
    folder = Path(path)
    if not folder.is_dir():
        problem = "this is a file" if folder.exists() else "there is no such folder"
        raise DataError(problem, path=folder, fix=f"name the folder that {name} lies in")
    return folder


def corpus_table(path: str | Path | None, name: str, file: str) -> Path:
    """Give a table that was named itself, or by its folder.

    Raises
    ------
    DataError
        If it is not there.
    """
    if path is not None and Path(path).is_file():
        return Path(path)
    return needed(corpus_folder(path, name), file)


def needed(folder: Path, *names: str) -> Path:
    """Give the first of these files that is in the folder, at any depth.

    Raises
    ------
    DataError
        If none is there.
    """
    for name in names:
        if (found := optional(folder, name)) is not None:
            return found
    raise DataError(
        f"the folder has no {' or '.join(names)}", path=folder, fix="give it as the corpus comes"
    )


def optional(folder: Path, name: str) -> Path | None:
    """Give a file of the folder, at any depth and whatever the case of its name; None without.

    Raises
    ------
    DataError
        If two files have the name, since nothing says which one counts.
    """
    if (folder / name).is_file():
        return folder / name
    found = [each for each in folder.rglob("*") if each.name.lower() == name.lower()]
    files = sorted(each for each in found if each.is_file())
    if len(files) > 1:
        raise DataError(
            f"the folder has {len(files)} files called {name}", path=folder, fix="keep one of them"
        )
    return files[0] if files else None
