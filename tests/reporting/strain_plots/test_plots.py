"""The picture of a window."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from matplotlib.text import Text

from gwbench.reporting.strain_plots.plots import COLUMN, DPI, STYLE, draw, render
from gwbench.reporting.strain_plots.window_view import Channel, StrainPlot

RATE = 1024.0


def channel(name: str, seed: int = 0, **known: Any) -> Channel:
    rng = np.random.default_rng(seed)
    frequencies = np.arange(513.0)
    measured = 1e-23 * (1 + (30 / np.maximum(frequencies, 1)) ** 4)
    asd = measured * rng.uniform(0.5, 2, 513)
    strain = 1e-20 * rng.standard_normal(2048)
    return Channel(name, RATE, strain, rng.standard_normal(2048), frequencies, asd, measured, **known)


def plot(*names: str, **known: Any) -> StrainPlot:
    channels = tuple(channel(name, seed, **known) for seed, name in enumerate(names))
    return StrainPlot("some, val 3", ("signal",), channels, 0.0, "the window's start", (20.0, 400.0))


@pytest.mark.parametrize("names", [("H1",), ("H1", "L1"), ("H1", "L1", "V1", "K1"), ("X1", "Y1", "Z1")])
def test_a_picture_has_a_column_for_every_detector(names: tuple[str, ...]) -> None:
    picture = matplotlib.image.imread(io.BytesIO(render(plot(*names))), format="png")
    height, width = picture.shape[:2]
    assert width == pytest.approx(max(COLUMN * len(names) + 0.8, 8.4) * DPI, abs=1)
    assert height == pytest.approx(8.8 * DPI, abs=1)
    assert 0.3 < np.mean(picture[..., :3] > 0.99) < 0.9  # neither blank nor full


def test_the_panels_hold_the_data() -> None:
    shown = plot("H1", "V1", marks={"arrival": 1.25, "glitch": 0.5}, snrs={"signal": 8.04, "glitch": 30.0})
    figure = draw(shown)
    *panels, bar = figure.axes
    axes = np.array(panels).reshape(4, 2)
    for column, data in zip(axes.T, shown.channels, strict=True):
        traces, whitened, picture, spectrum = column
        times, values = traces.lines[0].get_data()
        power = float(traces.texts[0].get_text().split("{")[1].split("}")[0])
        assert np.allclose(times, np.arange(2048) / RATE)
        assert np.allclose(values * 10**power, data.strain)
        assert traces.get_title(loc="left") == f"{data.name}   SNR: signal 8.0, glitch 30.0"
        assert np.array_equal(whitened.lines[0].get_ydata(), data.whitened)
        assert np.abs(data.whitened).max() < whitened.get_ylim()[1]

        marked = [line.get_xdata()[0] for line in traces.lines[1:]]
        assert marked == [1.25, 0.5]
        assert [line.get_xdata()[0] for line in whitened.lines[1:]] == marked
        assert {line.get_xdata()[0] for line in picture.lines} == set(marked)
        assert traces.get_xlim() == whitened.get_xlim() == picture.get_xlim() == (0, 2)

        densities = [line.get_data() for line in spectrum.lines]
        inside = (data.frequencies >= 10) & (data.frequencies < 0.9 * RATE / 2)
        for (frequencies, density), expected in zip(densities, (data.asd, data.measured), strict=True):
            assert np.array_equal(frequencies, data.frequencies[inside])
            assert np.array_equal(density, expected[inside])
            assert spectrum.get_ylim()[0] < density.min() < density.max() < spectrum.get_ylim()[1]
    units = [[panel.get_xlabel(), panel.get_ylabel()] for panel in axes[:, 0]]
    assert ["(s)" in units[2][0], "Hz" in units[2][1], "(Hz)" in units[3][0], "Hz$^{-1/2}$" in units[3][1]] == [
        True
    ] * 4
    assert "normalised energy" in bar.get_ylabel()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[2:] == ["signal arrives", "glitch"]


def test_a_pixel_of_the_q_transform_shows_the_loudest_sample_in_it() -> None:
    data = channel("H1")
    times = np.arange(8192) / RATE
    burst = 8 * np.exp(-(((times - 5.0) / 0.02) ** 2)) * np.sin(2 * np.pi * 100 * times)
    shown = replace(plot("H1"), channels=(replace(data, strain=burst, whitened=burst),))
    mesh = draw(shown).axes[2].collections[0]
    energy, corners = np.asarray(mesh.get_array()), mesh.get_coordinates()  # type: ignore[attr-defined]
    assert energy.shape[1] <= 800
    row, column = np.unravel_index(np.argmax(energy), energy.shape)
    assert corners[row, column, 0] <= 5.0 + 1 / RATE
    assert corners[row, column + 1, 0] >= 5.0 - 1 / RATE
    assert corners[row, column, 1] * 0.97 < 100 < corners[row + 1, column, 1] * 1.03


def test_the_user_s_matplotlib_changes_nothing_and_is_not_changed() -> None:
    import matplotlib.pyplot as plt

    shown = plot("H1", "L1")
    plain = render(shown)
    with mpl.rc_context({"axes.facecolor": "black", "font.size": 30.0, "lines.linewidth": 9.0, "text.usetex": True}):
        before = dict(mpl.rcParams)
        assert render(shown) == plain
        assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_titles_fit() -> None:
    loud = {"signal": 128.5, "glitch": 250.5}
    shown = replace(plot("H1", "L1", snrs=loud), name="H-H1_GWOSC_O3a_4KHZ_R1-1241999872-4096.hdf5, " * 5)
    with mpl.rc_context(STYLE):
        figure = draw(shown)
        figure.draw_without_rendering()
    (title,) = (text for text in figure.texts if "GWOSC" in text.get_text())
    box = title.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert box.width > figure.bbox.width / 2
    strain = figure.axes[0]
    (heading,) = (text for text in strain.findobj(Text) if "glitch" in text.get_text())
    assert heading.get_window_extent().x1 < strain.texts[0].get_window_extent().x0


def test_names_and_extremes_are_drawn_without_a_warning() -> None:
    data = channel("H1")
    silent = replace(data, strain=np.zeros(2048))
    loud = replace(data, whitened=1e4 * data.whitened)
    named = replace(plot("H1"), name=r"50$ \alpha_{ $x^ 窓, val 3", channels=(silent, loud))
    assert render(named).startswith(b"\x89PNG")
