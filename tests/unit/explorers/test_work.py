"""Long work: it can be stopped, the newest answer wins, and what goes wrong is one sentence."""

import threading

from fbkit.errors import ArgumentError
from fbkit.explorers.work import Step, Work


def test_an_answer_arrives_and_the_bar_goes() -> None:
    work, got = Work(), []
    work.run(lambda step: (step(0.5, "half"), 42)[1], got.append)
    work.join(10)
    assert got == [42]
    assert not work.busy


def test_stopped_work_gives_no_answer_and_ends_at_its_next_step() -> None:
    work, got, begun, go, ended = Work(), [], threading.Event(), threading.Event(), threading.Event()

    def job(step: Step) -> str:
        begun.set()
        go.wait(10)
        try:
            step(0.9, "nearly")
        finally:
            ended.set()
        return "too late"

    work.run(job, got.append)
    assert begun.wait(10)
    assert work.busy
    work.stop()
    assert not work.busy
    go.set()
    assert ended.wait(10)
    work.join(10)
    assert got == []


def test_the_answer_of_older_work_never_takes_the_place_of_a_newer_one() -> None:
    work, got, go = Work(), [], threading.Event()
    work.run(lambda _: (go.wait(10), "old")[1], got.append)
    older = work._thread  # pyright: ignore[reportPrivateUsage]
    work.run(lambda _: "new", got.append)
    work.join(10)
    go.set()
    assert older is not None
    older.join(10)
    assert got == ["new"]


def test_what_goes_wrong_is_told_in_one_sentence() -> None:
    def wrong(_):
        raise ArgumentError("no such slice", got="x", allowed="y", next_step="name another")

    work = Work()
    work.run(wrong, lambda _: None)
    work.join(10)
    assert work.trouble == "no such slice. name another"
    work.run(lambda _: 1 / 0, lambda _: None)
    work.join(10)
    assert "ZeroDivisionError" in work.trouble
    work.run(lambda _: 1, lambda _: None)
    work.join(10)
    assert work.trouble == ""
