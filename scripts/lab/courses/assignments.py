"""What a course marks: the tree, the points and the profile of each assignment, as the course's file has them."""

from __future__ import annotations

import configparser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shrimpy import rules

from .. import Trouble
from ..judging import checking, points, scenarios

ALL = "."
LAID = ("kernel", "user")
_KEYS = ("starter", "points", "profile", "lay", "only")


@dataclass(frozen=True)
class Assignment:
    """One assignment.

    title    as the service has it; "" for any
    starter  the tree that a submission is laid over
    points   the file that says what each rule is worth; None for the usual points
    profile  "handout" or "strict"
    lay      the folders that are taken from a submission, as paths in the tree; ALL for everything
    only     the scenarios that are played; none for all
    """

    title: str
    starter: Path
    points: Path | None = None
    profile: str = rules.STRICT
    lay: tuple[str, ...] = LAID
    only: tuple[str, ...] = ()

    def check(self) -> Assignment:
        """Itself. Raises Trouble where it could not be marked."""
        about = f"assignment {self.title!r}: " if self.title else ""
        if not ((self.starter / "Makefile").is_file() and (self.starter / "kernel").is_dir()):
            raise Trouble(f"{about}STARTER={self.starter}: expected an xv6 tree, a folder with a Makefile and kernel/")
        if self.profile not in rules.PROFILES:
            raise Trouble(f"{about}PROFILE={self.profile}: expected {' or '.join(rules.PROFILES)}")
        points.read(str(self.points) if self.points else "", self.profile)
        known = [*scenarios.NAMES, checking.PLAY]
        for strange in (name for name in self.only if name not in known):
            raise Trouble(f"{about}ONLY={strange}: there is no such scenario; there are {', '.join(known)}")
        for strange in (name for name in self.lay if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts):
            raise Trouble(f"{about}LAY={strange}: expected a folder in the tree, such as kernel")
        return self


def read(file: Path) -> list[Assignment]:
    """The assignments of a course's file: a section for each, named by its title. Paths are relative to the file."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"COURSE={file} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    except configparser.Error as error:
        raise Trouble(f"COURSE={file}: {' '.join(str(error).split())}") from None
    if not parser.sections():
        raise Trouble(f"COURSE={file}: expected a section for each assignment, such as [Lab 3], found none")
    return [_of_section(file, title, dict(parser[title])) for title in parser.sections()]


def _of_section(file: Path, title: str, said: dict[str, str]) -> Assignment:
    for strange in said.keys() - set(_KEYS):
        raise Trouble(f"COURSE={file}: [{title}] has {strange!r}; expected {', '.join(_KEYS)}")
    if "starter" not in said:
        raise Trouble(f"COURSE={file}: [{title}] does not say which tree submissions are laid over: starter = FOLDER")
    folder = file.absolute().parent
    return Assignment(title, folder / said["starter"], folder / said["points"] if said.get("points") else None,
                      said.get("profile") or rules.STRICT, words(said.get("lay", "")) or LAID, words(said.get("only", "")))


def words(said: str) -> tuple[str, ...]:
    """Names with commas or blanks between them."""
    return tuple(said.replace(",", " ").split())


def titled(some: Sequence[Assignment], title: str) -> Assignment:
    """The assignment of that title. Raises Trouble when there is none; one alone is for every title."""
    if len(some) == 1:
        return some[0]
    found = next((one for one in some if one.title.strip().casefold() == title.strip().casefold()), None)
    if found is None:
        raise Trouble(f"no assignment of this autograder has the title {title!r}; there are {', '.join(one.title for one in some)}")
    return found
