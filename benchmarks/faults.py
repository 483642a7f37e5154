"""Nothing lost: API, worker and PostgreSQL are killed (kill -9) at random while people talk.

Real processes: an embedded PostgreSQL, `sottovoce serve --no-worker`, `sottovoce worker` with a
tiny random Qwen3.5 behind a linear probe (the code path of a large one; its estimates mean
nothing), and the package's client in several threads that repeats until every call has had an
answer. When all is sent the killing stops, the service has time to catch up, and everything is
looked at: by SQL, and through the gate, as the service itself reads. Exit 1 if anything is lost,
there twice, or behind.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from benchmarks import serving
from benchmarks.killing import Killer
from benchmarks.shared import Options, show
from benchmarks.traffic import Talker, Traffic, plan
from sottovoce.cohort import WindowRules, newest_window
from sottovoce.service import estimates, messages
from sottovoce.service.database import Database
from sottovoce.service.embedded import Embedded
from sottovoce.service.gate import Gate
from sottovoce.service.masterkeys import open_keeper
from sottovoce.service.opening import open_gate
from sottovoce.service.principals import SERVICE
from sottovoce.service.refusals import NotFound
from sottovoce.service.settings import ServiceSettings

SEEDS = 20
MESSAGES = 20_000
PEOPLE = 200
SENDING = 45.0
"""Seconds of sending at least: some kills of each part."""

SETTLING = 180.0
"""Seconds for catching up; what a dead worker left is taken up within 25 (`service.jobs`)."""


def train_tiny(folder: Path) -> Path:
    """Train a tiny model by the code of the command; give its run folder."""
    from importlib import import_module

    from sottovoce.train import train

    recipes, tiny = import_module("tests.recipes"), import_module("tests.tiny")  # untyped
    backbone = folder / "qwen"
    backbone.mkdir()
    recipes.write_people(folder)
    recipe = recipes.write_recipe(folder, tiny.save_qwen(backbone))
    return train(recipe, folder / "run").folder


@dataclass
class Trial:
    """One seed's service."""

    gate: Gate
    rules: WindowRules
    talkers: list[Talker]

    def behind(self) -> int:
        """Count people who wait for an estimate, and jobs that are not done."""
        with self.gate.database.transaction() as connection:
            return int(connection.execute(_UNFINISHED).scalar_one())

    def settle(self) -> None:
        """Wait until nobody waits, or for as long as it may take."""
        limit = time.monotonic() + SETTLING
        while time.monotonic() < limit:
            try:
                if self.behind() == 0:
                    return
            except Exception as error:  # the last kill of the server may not be over
                print(f"not settled: {type(error).__name__}", file=sys.stderr)
            time.sleep(0.5)

    def verify(self) -> tuple[dict[str, int], list[str]]:
        """Look at everybody; give counts, and whatever is wrong."""
        counts = dict.fromkeys(("acknowledged", "stored", "lost", "duplicates", "estimates"), 0)
        wrong: list[str] = []
        for talker in self.talkers:
            if talker.fate == "stays":
                self._stayed(talker, counts, wrong)
            else:
                self._left(talker, wrong)
        with self.gate.database.transaction() as connection:
            counts["duplicates"] += int(connection.execute(_TWICE).scalar_one())
            counts["behind"] = int(connection.execute(_UNFINISHED).scalar_one())
            wrong += _strangers(connection, len([t for t in self.talkers if t.fate != "erased"]))
        if problem := self.gate.verify().problem:
            wrong.append(f"the audit log does not verify: {problem}")
        return counts, wrong

    def _stayed(self, talker: Talker, counts: dict[str, int], wrong: list[str]) -> None:
        with self.gate.open(SERVICE, "score.read", talker.id) as case:
            kept = list(messages.since(case))
            made = estimates.all_of(case)
            scored = case.revision == case.scored_revision
        found = {each.said.message_id for each in kept}
        counts["acknowledged"] += len(talker.acknowledged)
        counts["stored"] += len(kept)
        counts["lost"] += len(talker.acknowledged - found)
        counts["duplicates"] += len(kept) - len(found)
        counts["estimates"] += len(made)
        if talker.acknowledged != talker.says.keys():
            wrong.append("somebody's messages were not all acknowledged")
        if any(not _same(talker, each) for each in kept):
            wrong.append("a message is not what was sent")
        window = newest_window(talker.id, [each.message for each in kept], self.rules)
        last = estimates.trajectory(made)[-1:]
        if not scored or not last:
            wrong.append("somebody is not scored up to the newest change")
        elif last[0].estimate.window_end != window.end:
            wrong.append("a trajectory ends before the newest window")
        elif last[0].estimate.n_messages != len(window.user_messages):
            wrong.append("the newest estimate did not read all of its window")

    def _left(self, talker: Talker, wrong: list[str]) -> None:
        try:
            with self.gate.open(SERVICE, "score.purge", talker.id) as case:
                told = int(case.connection.execute(_TOLD, {"id": case.person}).scalar_one())
        except NotFound:
            if talker.fate != "erased":
                wrong.append("somebody is gone who was not erased")
            return
        if talker.fate == "erased":
            wrong.append("an erased person is there")
        elif told:
            wrong.append("something is left of a person who withdrew")


_UNFINISHED = text(
    """
    SELECT (SELECT count(*) FROM people
            WHERE revision > scored_revision AND purposes @> ARRAY['monitoring'])
         + (SELECT count(*) FROM procrastinate_jobs
            WHERE task_name <> 'tend' AND status IN ('todo', 'doing', 'failed'))
    """
)
_TWICE = text(
    """
    SELECT coalesce(sum(number - 1), 0) FROM (
        SELECT count(*) AS number FROM estimates GROUP BY person_id, revision, model_id
    ) counted
    """
)
_TOLD = text(
    """
    SELECT (SELECT count(*) FROM messages WHERE person_id = :id)
         + (SELECT count(*) FROM estimates WHERE person_id = :id)
    """
)


def _strangers(connection: Connection, people: int) -> list[str]:
    found = int(connection.execute(text("SELECT count(*) FROM people")).scalar_one())
    return [] if found == people else [f"{found} people are there instead of {people}"]


def _same(talker: Talker, kept: messages.Kept) -> bool:
    sent = talker.says.get(kept.said.message_id)
    told = kept.said
    return sent is not None and (sent.conversation_id, sent.role, sent.content, sent.sent_at) == (
        told.conversation_id,
        told.role,
        told.content,
        told.sent_at,
    )


def run_seed(seed: int, folder: Path, model: Path, count: int) -> tuple[dict[str, Any], list[str]]:
    """Run one seed; give its row and whatever is wrong."""
    from sottovoce.estimator import Estimator

    begun = time.monotonic()
    rules = Estimator.from_pretrained(model).rules
    talkers, steps = plan(seed, PEOPLE, count)
    with Embedded(folder / "postgresql") as server, ExitStack() as stack:
        url = serving.new_database(server.url, "service")
        database = Database(url)
        stack.callback(database.close)
        database.migrate()
        more = {"model": str(model), "score_delay": "0.5"}
        settings = serving.service_settings(url, folder, **more)
        chosen = ServiceSettings.from_environment(settings)
        trial = Trial(open_gate(database, open_keeper(chosen)), rules, talkers)
        port = serving.free_port()
        programs = {
            "api": serving.api(settings, folder / "api.log", port),
            "worker": serving.worker(settings, folder / "worker.log"),
        }
        for program in programs.values():
            program.start()
            stack.callback(program.stop)
        programs["api"].until_it_answers()
        key = serving.new_app_key(database)
        killer = Killer(server, programs, seed)
        traffic = Traffic(f"http://{serving.HOST}:{port}", key, steps, SENDING)
        killer.start()
        try:
            traffic.run()
        finally:
            killer.stop()
        database.close()
        trial.settle()
        counts, wrong = trial.verify()
        row = _row(seed, killer, traffic, counts)
        row["seconds"] = round(time.monotonic() - begun)
        return row, [*traffic.wrong, *wrong]


def _row(seed: int, killer: Killer, traffic: Traffic, counts: dict[str, int]) -> dict[str, Any]:
    killed = " ".join(
        str(killer.kills[name]) for name in ("api", "worker", "postgresql", "backend")
    )
    seen = {name: traffic.seen[name] for name in ("batches", "refused", "retries", "status_500")}
    return {"name": str(seed), "killed": killed, **seen, "people": PEOPLE, **counts}


def _given() -> tuple[Options, int, int, int]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--messages", type=int, default=MESSAGES, help="messages of each seed")
    given = parser.parse_args()
    return Options(given.json, given.save), given.first, given.seeds, given.messages


def main() -> None:
    """Print the table; exit 1 if anything was lost, stored twice, left behind or wrong."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models are a hundred times faster
    given, first, seeds, count = _given()
    rows, problems = [], 0
    with tempfile.TemporaryDirectory() as place:
        model = train_tiny(Path(place))
        for seed in range(first, first + seeds):
            folder = Path(place) / f"seed-{seed}"
            folder.mkdir()
            row, wrong = run_seed(seed, folder, model, count)
            rows.append(row | {"wrong": len(wrong)})
            problems += row["lost"] + row["duplicates"] + row["behind"] + len(wrong)
            print(json.dumps(rows[-1]), *sorted(set(wrong)), sep="\n", file=sys.stderr, flush=True)
    title = (
        f"{count:,} messages of {PEOPLE} people by a client that repeats, while the API, the "
        "worker, PostgreSQL and single sessions of it are killed (counted in this order); a tiny "
        "random Qwen3.5 scores"
    )
    show("faults", title, rows, given)
    if problems:
        sys.exit("Error: something was lost, stored twice, left behind or wrong; see above")


if __name__ == "__main__":
    main()
