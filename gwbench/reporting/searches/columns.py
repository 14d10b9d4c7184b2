"""What the columns of a ranking of searches are called, and how a row reads in each: the same in every format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gwbench.reporting.leaderboard.columns import NONE, VALUE, Column
from gwbench.reporting.searches.schema import Reach, SearchRanking, SearchRow, SearchTable


def search_columns(table: SearchTable, ranking: SearchRanking) -> list[Column[SearchRow]]:
    """The columns of a table that say something in any row."""
    columns = [
        Column("rank", _rank, lambda row: row.rank),
        Column("search", search_name, search_name, left=True),
        Column(f"distance at {table.at_far:g} a month (Mpc)", lambda row: _distance(row.reach),
                     lambda row: row.reach.distance if row.reach else None, largest=True),
        Column(f"{100 * ranking.level:g} % interval", lambda row: _interval(row.reach),
                     lambda row: row.reach.low if row.reach else None, keep=9, largest=True),
        Column("found", lambda row: _found(row.reach), lambda row: row.reach.found if row.reach else None,
                     keep=8, largest=True),
        Column("of the ceiling", _of_ceiling, lambda row: row.of_ceiling, keep=7, largest=True),
        *_rate_columns(table),
        Column("test AUC", lambda row: _number(row.auc, ".4f"), lambda row: row.auc, keep=6, largest=True),
        Column("labels", lambda row: _number(row.labels, ",d"), lambda row: row.labels, keep=4),
        Column("CPU s per hour", lambda row: _number(row.cpu_seconds_per_hour, ".3g"),
                     lambda row: row.cpu_seconds_per_hour, keep=3),
        Column("background (h)", lambda row: _number(_hours(row.background), ",.3g"),
                     lambda row: row.background, keep=2),
        Column("conditioning", lambda row: row.conditioning or NONE, lambda row: row.conditioning, keep=1),
    ]  # fmt: skip
    return [column for column in columns if any(column.text(row) != NONE for row in table.rows)]


def search_heading(table: SearchTable) -> str:
    """What the searches of a table share and no other table's do."""
    return f"searches of {table.injections} (injections {table.sha256[:12]})"


def search_facts(table: SearchTable) -> str:
    """What was searched, and at which rate the searches are ranked."""
    parts = "segment" if table.segments == 1 else "segments"
    return (
        f"{table.count:,} injections in {_hours(table.livetime):,.3g} h of {', '.join(table.detectors)} "
        f"({table.segments:,} {parts}); ranked at {table.at_far:g} false alarms a month of 30 days."
    )


def search_legend(table: SearchTable, ranking: SearchRanking) -> list[str]:
    """How to read a table, and its notes."""
    weighted = " weighted by chirp mass, as the injections are uniform in chirp distance" if _weighted(table) else ""
    lines = [
        f"Distance: radius of the ball that has the sensitive volume{weighted}, as MLGWSC-1 defines it "
        f"(arXiv:2209.11146), ± its standard deviation; the {100 * ranking.level:g} % interval is that of the volume. "
        "Found: injections with a trigger above the threshold that the background sets at this rate.",
        "All searches of a table have the same injections in the same strain, so that the errors of two searches have "
        "most of their scatter in common: differences are surer than the intervals say.",
    ]
    if any(row.ceiling for row in table.rows):
        lines.append("Ceiling: a matched filter with the templates of the injected signals, or another bound.")
    if any(row.auc is not None for row in table.rows):
        lines.append("Test AUC: of the run that searched, on its own test split.")
    if any(row.reach is None for row in table.rows):
        lines.append(
            f"{NONE}: not judged at this rate; a background of H hours supports no rate below one false alarm in H "
            "hours."
        )
    return [*lines, *table.notes]


def searches_passed_over(ranking: SearchRanking) -> list[str]:
    """What could not be read or ranked: each with its reason."""
    lines = []
    if ranking.skipped:
        lines.append(
            f"{len(ranking.skipped)} of {len(ranking.skipped) + ranking.records} search records were passed over:"
        )
        lines += [f"{each.path}: {each.reason}" for each in ranking.skipped]
    return lines


def unranked_note(ranking: SearchRanking) -> Iterator[str]:
    """A sentence about searches without injections, where there are any."""
    if ranking.unranked:
        more = f" and {len(ranking.unranked) - 3} more" if len(ranking.unranked) > 3 else ""
        named = ", ".join(ranking.unranked[:3])
        yield f"Not ranked, as they have no injections: {named}{more}. `gwbench report` shows each."


def search_name(row: SearchRow) -> str:
    """A search's method, and the settings in which it differs from others."""
    settings = ", ".join(f"{name}={value[:VALUE]}" for name, value in row.differing.items())
    return row.title + (f" ({settings})" if settings else "")


def _rank(row: SearchRow) -> str:
    if row.rank is not None:
        return str(row.rank)
    return "ceiling" if row.ceiling and row.reach else NONE


def _distance(reach: Reach | None) -> str:
    return NONE if reach is None else f"{reach.distance:,.0f} ± {reach.error:,.0f}"


def _interval(reach: Reach | None) -> str:
    return NONE if reach is None else f"{reach.low:,.0f} to {reach.high:,.0f}"


def _found(reach: Reach | None) -> str:
    return NONE if reach is None else f"{reach.found:,} of {reach.injections:,}"


def _of_ceiling(row: SearchRow) -> str:
    return NONE if row.of_ceiling is None or row.ceiling else f"{100 * row.of_ceiling:.0f} %"


def _rate_columns(table: SearchTable) -> Iterator[Column[SearchRow]]:
    """The distance at every other rate."""
    for place, rate in enumerate(table.rates):
        if rate != table.at_far:
            yield Column(f"at {rate:g} a month", _at(place), _distance_at(place), keep=5, largest=True)


def _at(place: int) -> Callable[[SearchRow], str]:
    return lambda row: _distance(row.rates[place])


def _distance_at(place: int) -> Callable[[SearchRow], float | None]:
    def distance(row: SearchRow) -> float | None:
        reach = row.rates[place]
        return reach.distance if reach else None

    return distance


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 3600


def _weighted(table: SearchTable) -> bool:
    return table.weighting == "chirp-distance"
