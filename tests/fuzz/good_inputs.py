"""Small good inputs, made by gwbench's own writers and by gwpy, pycbc and LAL."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import TINY

F = np.arange(0, 513.0, 2)
PSD = 1e-46 * (1 + (60 / np.maximum(F, 5)) ** 8)
RATE = 256
RUN = "run"
"""The folder of a finished run, beside the inputs."""


def strain(seconds: int = 8) -> Any:
    return np.random.default_rng(0).normal(scale=1e-21, size=seconds * RATE)


def strain_hdf5(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "gwosc.hdf5", "w") as file:
        file["strain/Strain"] = strain()
        file["strain/Strain"].attrs.update({"Xstart": 1126259446, "Xspacing": 1 / RATE, "Npoints": 8 * RATE})
        for kind, names in (("simple", ["DATA", "CBC_CAT1"]), ("injections", ["NO_CBC_HW_INJ"])):
            mask = "DQmask" if kind == "simple" else "Injmask"
            file[f"quality/{kind}/{mask}"] = np.full(8, 127, np.int32)
            file[f"quality/{kind}/{mask}"].attrs.update({"Xstart": 1126259446, "Xspacing": 1, "Npoints": 8})
            short = "DQShortnames" if kind == "simple" else "InjShortnames"
            file[f"quality/{kind}/{short}"] = np.array(names, "S")
        file["meta/Detector"], file["meta/GPSstart"], file["meta/Duration"] = b"H1", 1126259446, 8
    with h5py.File(folder / "pycbc.hdf", "w") as file:
        file["data"] = strain()
        file["data"].attrs.update({"delta_t": 1 / RATE, "start_time": 1e9, "detector": "H1"})
    with h5py.File(folder / "gwpy.h5", "w", libver="latest") as file:
        file.create_dataset("H1:STRAIN", data=strain(), compression="gzip", shuffle=True)
        file["H1:STRAIN"].attrs.update(
            {"dx": 1 / RATE, "x0": 1e9, "xunit": "s", "name": "H1", "channel": "H1:STRAIN", "unit": ""}
        )


def frames(folder: Path) -> None:
    from gwpy.timeseries import TimeSeries, TimeSeriesDict

    series = TimeSeriesDict()
    channels = {
        "L1:GWOSC-4KHZ_R1_STRAIN": (strain(4), RATE),
        "L1:GWOSC-4KHZ_R1_DQMASK": (np.full(4, 127, np.int32), 1),
        "L1:GWOSC-4KHZ_R1_INJMASK": (np.full(4, 31, np.int32), 1),
    }
    for name, (values, rate) in channels.items():
        series[name] = TimeSeries(values, t0=1000, sample_rate=rate, name=name, channel=name)
    series.write(str(folder / "L-L1_GWOSC-1000-4.gwf"), format="gwf")


def psd_text(folder: Path) -> None:
    rows = np.c_[F, PSD]
    np.savetxt(folder / "psd.txt", rows)
    np.savetxt(folder / "asd.csv", np.c_[F, PSD**0.5], delimiter=",", header="frequency,asd", comments="")
    np.savetxt(folder / "three.dat", np.c_[F, PSD, 2 * PSD], header="Freq (Hz)  H1 PSD  L1 PSD")


def psd_compressed(folder: Path) -> None:
    psd_text(folder)
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def psd_hdf5(folder: Path) -> None:
    import h5py
    from pycbc.types import FrequencySeries

    FrequencySeries(PSD, delta_f=2.0, epoch=1e9).save(str(folder / "pycbc.hdf"), group="H1/psds/0")
    with h5py.File(folder / "gwpy.hdf5", "w") as file:
        file["psd"] = PSD
        file["psd"].attrs.update({"dx": 2.0, "x0": 0.0, "xunit": "Hz", "unit": "1 / Hz", "name": "H1 psd"})
    with h5py.File(folder / "gwtc.h5", "w") as file:
        file["C01/psds/H1"], file["C01/psds/L1"] = np.c_[F, PSD], np.c_[F, 2 * PSD]
        file["freq"], file["asd"] = F, PSD**0.5


def psd_xml(folder: Path) -> None:
    from pycbc.types import FrequencySeries

    FrequencySeries(PSD, delta_f=2.0, epoch=1e9).save(str(folder / "psd.xml"))


def psd_npy(folder: Path) -> None:
    np.save(folder / "psd.npy", np.c_[F, PSD])
    np.save(folder / "named.npy", np.array(list(zip(F, PSD, strict=True)), [("f", "f8"), ("psd", "f8")]))


def psd_npz(folder: Path) -> None:
    np.savez(folder / "psd.npz", freq=F, psd=PSD)
    np.savez_compressed(folder / "small.npz", H1=np.c_[F, PSD], delta_f=2.0)


def g2net_window(folder: Path) -> None:
    np.save(folder / "000a0.npy", np.zeros((3, 4096)))


def g2net_labels(folder: Path) -> None:
    (folder / "training_labels.csv").write_text("id,target\n" + "".join(f"{n:010x},{n % 2}\n" for n in range(40)))


def events(folder: Path) -> None:
    listed = [{"name": "GW150914", "gps": 1126259462.4}, {"name": "GW151226", "gps": 1135136350.6}]
    (folder / "events.json").write_text(json.dumps({"events": listed}, indent=1))


def populations(folder: Path) -> None:
    (folder / "populations.toml").write_text(
        '[small]\ntitle = "For a test"\ncitation = "none"\nframe = "detector"\n\n[small.masses]\nmodel = "sorted"\n'
        'component = { distribution = "uniform", low = 15.0, high = 75.0 }\n\n[small.spins]\nmodel = "aligned"\n'
        'spin_1 = { distribution = "uniform", low = -0.9, high = 0.9 }\n'
        'spin_2 = { distribution = "fixed", value = 0 }\n'
    )


def suites(folder: Path) -> None:
    (folder / "suite.yaml").write_text(
        "about: a small one\ndatasets:\n  - {name: bbh, train: 64, val: 32, test: 32}\nencoders: [cnn1d, cqt2d]\n"
        "pairings: [cross-detector]\naugmentations: [[], [noise-injection]]\nobjectives: [barlow, simclr]\n"
        "baselines: [random-init]\nlabel_fractions: [0.25]\nseeds: [0, 1]\n\nexclude:\n"
        "  - {encoder: cqt2d, objective: [barlow]}\n"
    )


def finished_run(folder: Path) -> None:
    """A run of a few seconds."""
    if (folder / RUN).is_dir():
        return
    settings = {**TINY, "dataset.train": 64, "dataset.val": 32, "dataset.test": 32, "dataset.detectors": "H1,L1"}
    settings |= {"training.epochs": 1, "objective.hidden_dim": 16, "objective.output_dim": 16, "dataset.snr": "12,20"}
    pairs = [f"--set={name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "gwbench", "run", *pairs, "--quiet", "--out", str(folder / "runs")]
    subprocess.run([*command, "--cache-dir", str(folder / "cache")], check=True, capture_output=True, timeout=500)
    (made,) = (folder / "runs").iterdir()
    made.rename(folder / RUN)


def of_run(name: str) -> Callable[[Path], None]:
    """A file of the finished run."""

    def make(folder: Path) -> None:
        finished_run(folder.parent)
        (folder / name).write_bytes((folder.parent / RUN / name).read_bytes())

    return make


def checkpoint(folder: Path) -> None:
    import torch

    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    history = {"loss": [0.5], "collapse": [{"spread": 1.0, "effective_rank": 2.0}], "seconds": 1.0, "steps": 2}
    batches = {"epoch_loop.batch_progress": {"total": {"completed": 2}}}
    content = {
        "epoch": 0,
        "global_step": 2,
        "state_dict": layer.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [{"last_epoch": 2}],
        "callbacks": {"History": history},
        "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 1}}, **batches}},
    }
    torch.save(content, folder / "pretrain.ckpt")


def store(folder: Path) -> None:
    from gwbench.data.store.writer import write_store
    from gwbench.utils.progress import Progress
    from tests.fuzz.readers import LAYOUT, RECIPE, toy_blocks

    write_store(folder / "toy.h5", LAYOUT, toy_blocks, recipe=RECIPE, progress=Progress())


def journal(folder: Path) -> None:
    from gwbench.data.store.partial import Partial
    from tests.fuzz.readers import LAYOUT, RECIPE, toy_blocks

    partial = Partial(folder / "toy.h5", LAYOUT, RECIPE)
    for block in list(toy_blocks())[:2]:
        partial.add(block)
    partial.close()
    (folder / ".toy.h5.journal").rename(folder / "journal")
    (folder / ".toy.h5.partial").rename(folder.parent / "toy.partial")


def rows(folder: Path) -> None:
    from gwbench.dataloading.row_cache import RowFile

    file = RowFile(folder / "rows", 20, 28)
    file.write(np.arange(20), np.random.default_rng(0).random((20, 7), np.float32))
    file.close()


def answers(folder: Path) -> None:
    event = {"name": "GW150914", "version": 3, "gps": 1126259462.4, "run": "O1", "grace_id": "G184098"}
    url = "https://gwosc.org/archive/H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5"
    file = {"download_url": url, "hdf5_url": url, "detector": "H1", "file_format": "hdf5", "sample_rate_kHz": 4}
    run = {"name": "O1", "gps_start": 1126051217, "gps_end": 1137254417, "detectors": ["H1", "L1"]}
    page = {"results": [{**event, **file, **run}], "next": None, "results_count": 1, "num_pages": 1}
    lists = {"event": event, "page": page}
    for name, content in lists.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def search_record(folder: Path) -> None:
    from gwbench.search.record import write_search_record
    from tests.search.test_search_record import a_record

    write_search_record(folder / "search.json", a_record())


def search_events(folder: Path) -> None:
    from tests.search.challenge_files import noise_columns, write_columns

    write_columns(folder / "events.hdf", noise_columns())


def search_events_csv(folder: Path) -> None:
    from gwbench.search.event_files import write_events
    from tests.search.test_search_record import a_record

    write_events(folder / "events.csv", a_record().triggers)


def injections(folder: Path) -> None:
    from tests.search.challenge_files import injection_columns, write_columns

    write_columns(folder / "injections.hdf", injection_columns(chirp=True))


def settings(folder: Path) -> None:
    lines = ["encoder.width=32", "dataset.snr=8,20", "training.lr=1e-3", "dataset.detectors=H1,L1"]
    lines += ["conditioning.low=20", "evaluation.label_fraction=0.1", "dataset.train=4000", "dataset.gps=1e9"]
    for number, line in enumerate(lines):
        (folder / f"{number}.txt").write_text(line)


def plugin(folder: Path) -> None:
    import gwbench.plugins.encoders.cnn1d as module

    (folder / "plugin.py").write_bytes(Path(str(module.__file__)).read_bytes())
