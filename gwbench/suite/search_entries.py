"""The `searches` of a suite: strain that every finished cell listens to.

searches:
- name: gaussian                    # of the results, and for `--only`
make: {hours: 4, seed: 1}         # as of `gwbench data make continuous`
stride: 0.1
- name: challenge
foreground: foreground.hdf        # files, folders or globs; or lists of them
background: background.hdf        # noise alone; without it, time slides are the background
injections: injections.hdf
- name: GW150914
event: GW150914                   # fetched from GWOSC, or in the files of `foreground`
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gwbench.search.score_series import STRIDE
from gwbench.simulation.continuous_settings import ContinuousSettings
from gwbench.utils.models import FrozenModel

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

StrainPlaces = Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class SearchEntry(FrozenModel):
    """Strain to search, and how.

    Attributes:
        name: of the results.
        make: settings of a continuous set that is made where it is missing.
        foreground: strain with injections, or with a known event.
        background: strain without; by default the set's own, or time slides.
        injections: the file that lists them.
        event: a known event to look for.
        stride: s between windows.
        slides: time slides; by default as of `gwbench scan`, or none where there is a background.
        conditioning: as of `gwbench scan`.
    """

    name: str
    make: ContinuousSettings | None = None
    foreground: StrainPlaces = ()
    background: StrainPlaces = ()
    injections: str | None = None
    event: str | None = None
    stride: Annotated[float, Field(gt=0)] = STRIDE
    slides: Annotated[int, Field(ge=0)] | None = None
    conditioning: Literal["refitted", "run"] = "refitted"

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, dict) and not NAME.fullmatch(str(value.get("name", ""))):
            raise ValueError("a search needs a name of letters, digits, dots, dashes and underscores")
        return value

    @model_validator(mode="after")
    def _complete(self) -> SearchEntry:
        if self.make is not None and (self.foreground or self.background or self.injections or self.event):
            raise ValueError("make gives the strain and its injections: leave out the other files and the event")
        if self.make is None and self.event is None and not (self.foreground and self.injections):
            raise ValueError("say what is searched: make, foreground with injections, or event")
        if self.event is not None and self.injections:
            raise ValueError("an event is looked for in recorded strain, without injections")
        return self
