"""What the search decides, on speeds that are known: no time is measured here."""

import re

import pytest

from sardonyx.runtime.child import ChildError
from sardonyx.runtime.tuning.candidates import SKIP_NORMS, Space
from sardonyx.runtime.tuning.choice import Choice
from sardonyx.runtime.tuning.search import Search

from .fake import Fake

BASE = Choice()
SPACE = Space(threads=4)


def search(fake, space=SPACE, seconds=1000.0, accuracy=None):
    found = Search(fake, BASE, space, seconds=seconds, accuracy=accuracy).run()
    assert fake.alive == 0, "a contender was left running"
    return found


def status(found):
    return {record.name: record.status for record in found.records}


def test_a_faster_setting_is_found_and_its_gain_is_measured_anew():
    fake = Fake(lambda choice: 0.01 if "session.dynamic_block_base" in choice.config else 0.02)
    found = search(fake)
    assert dict(found.choice.config) == {"session.dynamic_block_base": "4"}
    assert found.gain.low < 2 < found.gain.high
    assert found.gain.median == pytest.approx(2, rel=0.02)
    assert status(found)["dynamic blocks"] == "taken"
    assert status(found)["no spinning"] == "not faster"
    # The last two contenders are the baseline and the winner, loaded once more.
    assert fake.opened[-2:] == [BASE, found.choice]


def test_gains_of_several_groups_add_up():
    def seconds(choice):
        faster = 0.5 if choice.graph_optimization == "extended" else 1
        return 0.02 * faster * (0.8 if choice.config.get("enable_cpu_mem_arena") == "0" else 1)

    found = search(Fake(seconds))
    assert found.choice == BASE.but(
        graph_optimization="extended", config={"enable_cpu_mem_arena": "0"}
    )
    assert found.gain.median == pytest.approx(2.5, rel=0.02)


def test_the_best_of_a_group_is_taken():
    def seconds(choice):
        off = set(choice.disabled_optimizers or ())
        return 0.02 - 0.002 * off.issuperset(SKIP_NORMS) - 0.006 * ("MatMulAddFusion" in off)

    found = search(Fake(seconds))
    assert set(found.choice.disabled_optimizers) == {*SKIP_NORMS, "MatMulAddFusion"}


def test_equal_settings_are_no_gain():
    found = search(Fake(lambda choice: 0.02))
    assert (found.choice, found.gain) == (BASE, None)
    assert found.why == "nothing that was tried is faster"
    assert "taken" not in status(found).values()


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_noise_is_no_gain(noise):
    found = search(Fake(lambda choice: 0.02, noise=noise))
    assert found.gain is None


def test_what_was_luck_is_no_gain():
    """A choice that is faster only while it is selected."""
    fake = Fake(lambda choice: 0.02, noise=0)
    fake.seconds = lambda choice: (
        0.015 if choice.config.get("execution_order") and fake.opened.count(choice) < 2 else 0.02
    )
    found = search(fake)
    assert status(found)["order by priority"] == "taken"
    assert (found.choice, found.gain) == (BASE, None)
    assert found.why.startswith("what looked faster is 1.00")


def test_a_gain_within_the_differences_of_equal_processes_is_none():
    """The process that was loaded first is 20% slower; the candidate gains 10%."""
    fake = Fake(lambda choice: 0.02)
    fake.seconds = lambda choice: (
        0.024 if len(fake.opened) == 1 else 0.018 if choice.graph_optimization == "basic" else 0.02
    )
    found = search(fake)
    assert status(found)["optimise basic"] == "taken"
    assert found.gain is None
    assert found.equal.median == pytest.approx(0.02 / 0.024, rel=0.03)


def test_other_outputs_are_refused_without_an_accuracy():
    fake = Fake(
        lambda choice: 0.01 if choice.graph_optimization == "basic" else 0.02,
        output=lambda choice: 1e-3 if choice.graph_optimization == "basic" else 0.0,
    )
    found = search(fake)
    assert found.gain is None
    assert found.limit == pytest.approx(1e-5, rel=0.1)  # ten times what a disturbed input gives
    assert status(found)["optimise basic"] == "other outputs"
    record = next(each for each in found.records if each.name == "optimise basic")
    assert record.deviation == pytest.approx(1e-3, rel=1e-3)
    assert record.seconds is None


def test_rounding_is_measured_by_the_optimisations_too():
    fake = Fake(
        lambda choice: 0.01 if choice.graph_optimization == "basic" else 0.02,
        output=lambda choice: {"off": 2e-5, "basic": 1e-4}.get(choice.graph_optimization, 0.0),
    )
    found = search(fake)
    assert found.limit == pytest.approx(2e-4, rel=1e-2)
    assert found.choice.graph_optimization == "basic"


def test_outputs_that_change_when_it_is_loaded_again_are_no_gain():
    fake = Fake(lambda choice: 0.01 if choice.graph_optimization == "basic" else 0.02)
    fake.output = lambda choice: (
        0.5 if choice.graph_optimization and fake.opened.count(choice) == 2 else 0.0
    )
    found = search(fake)
    assert status(found)["optimise basic"] == "taken"
    assert found.gain is None
    assert found.why == "the outputs of what was found are not the same at a second try"


def test_half_of_the_digits_hold_in_any_case():
    """Optimisations that change the answer are no measure of rounding."""
    fake = Fake(
        lambda choice: 0.01 if choice.graph_optimization == "basic" else 0.02,
        output=lambda choice: {"off": 0.5, "basic": 1e-3}.get(choice.graph_optimization, 0.0),
    )
    found = search(fake)
    assert found.limit == pytest.approx(2**-11.5)
    assert status(found)["optimise basic"] == "other outputs"


def test_a_candidate_that_dies_while_it_is_timed_is_told_and_closed():
    fake = Fake(lambda choice: 0.01 if choice.graph_optimization == "extended" else 0.02)
    opening = fake.open

    def open_(choice, seconds):
        made = opening(choice, seconds)
        if choice.graph_optimization == "basic":
            turns = iter([0.02, 0.02, 0.02])

            def time(seconds):
                for turn in turns:
                    return turn
                raise ChildError("the process ended with code -9")

            made.time = time
        return made

    fake.open = open_
    found = search(fake)
    record = next(each for each in found.records if each.name == "optimise basic")
    assert (record.status, record.why) == ("failed", "the process ended with code -9")
    assert found.choice.graph_optimization == "extended"


def test_nothing_is_left_running_when_the_search_is_interrupted():
    fake = Fake(lambda choice: 0.02)
    opening = fake.open

    def open_(choice, seconds):
        if len(fake.opened) == 5:
            raise KeyboardInterrupt
        return opening(choice, seconds)

    fake.open = open_
    with pytest.raises(KeyboardInterrupt):
        search(fake)
    assert fake.alive == 0


@pytest.mark.parametrize(("accuracy", "is_taken"), [(1e-2, True), (1e-3, False)])
def test_lower_precision_is_bounded_by_the_accuracy(accuracy, is_taken):
    def is_low(choice):
        return choice.options.get("precision") == "bf16"

    fake = Fake(
        lambda choice: 0.005 if is_low(choice) else 0.02,
        output=lambda choice: 4e-3 if is_low(choice) else 0.0,
    )
    space = Space(providers=("cpu", "openvino"), is_lossy=True)
    found = search(fake, space, accuracy=accuracy)
    assert (found.gain is not None) is is_taken
    assert status(found)["openvino, bfloat16"] == ("taken" if is_taken else "other outputs")


def test_a_precision_that_the_provider_does_not_have_is_not_timed():
    """It computes the same as without: any difference in time would be noise."""
    fake = Fake(
        lambda choice: 0.01 if choice.options.get("precision") == "f16" else 0.02,
        output=lambda choice: {"bf16": 2e-3}.get(choice.options.get("precision"), 1e-6),
    )
    found = search(fake, Space(providers=("cpu", "openvino"), is_lossy=True), accuracy=1e-2)
    record = next(each for each in found.records if each.name == "openvino, float16")
    assert (record.status, record.why) == ("not faster", "it computes what openvino does")
    assert record.seconds is None
    assert next(e for e in found.records if e.name == "openvino, bfloat16").seconds is not None


def test_without_an_accuracy_no_lower_precision_is_tried():
    fake = Fake(lambda choice: 0.02)
    search(fake, Space(providers=("cpu", "openvino", "cuda"), threads=4))
    assert not [c for c in fake.opened if c.options.get("precision") or "gelu" in str(c.config)]
    assert {c.options.get("use_tf32") for c in fake.opened if c.provider == "cuda"} == {"0"}


def test_a_provider_that_wins_is_tuned_further_and_the_cpu_s_knobs_are_not_tried_on_it():
    fake = Fake(lambda choice: 0.01 if choice.provider == "openvino" else 0.02)
    found = search(fake, Space(providers=("cpu", "openvino"), threads=4))
    assert found.choice.provider == "openvino"
    assert "2 threads" in status(found)
    assert "dynamic blocks" not in status(found)


def test_a_variant_is_tried_and_taken():
    fake = Fake(
        lambda choice: 0.01 if choice.variant == "half" else 0.02,
        output=lambda choice: 1e-3 if choice.variant else 0.0,
    )
    found = search(fake, Space(is_lossy=True, variants=("half", "quarter")), accuracy=1e-2)
    assert found.choice.variant == "half"


def test_a_candidate_that_fails_is_told_with_the_reason():
    def seconds(choice):
        if choice.config.get("execution_mode"):
            raise ChildError("the process ended with code -11", found="segmentation fault")
        return 0.02

    found = search(Fake(seconds))
    record = next(each for each in found.records if each.name == "parallel nodes")
    assert (record.status, record.why) == ("failed", "segmentation fault")


def test_a_model_that_does_not_run_untuned_is_an_error():
    def seconds(choice):
        raise ChildError("ONNX Runtime refuses the model")

    with pytest.raises(ChildError, match="refuses the model"):
        search(Fake(seconds))


@pytest.mark.parametrize("seconds", [1, 5, 10, 30, 60, 100])
@pytest.mark.parametrize(("open_s", "pass_s"), [(0.1, 0.001), (3.0, 0.2), (1.0, 2.0)])
def test_the_time_is_kept(seconds, open_s, pass_s):
    faster = {"enable_cpu_mem_arena": "0"}
    fake = Fake(lambda choice: pass_s / (2 if dict(choice.config) == faster else 1), open_s=open_s)
    found = search(fake, seconds=seconds)
    # The untuned session, and the one that tells the noise, are loaded in any case.
    assert fake.clock <= max(seconds, 2 * open_s + 0.1)
    assert found.seconds == pytest.approx(fake.clock)
    unfinished = {"not tried", "time ran out"} & set(status(found).values())
    if unfinished and found.gain is None:
        assert "the time was too short" in found.why


@pytest.mark.parametrize(("open_s", "pass_s"), [(1.0, 0.02), (3.0, 0.2), (1.0, 2.0)])
def test_it_is_said_how_long_one_candidate_takes(open_s, pass_s):
    found = search(Fake(lambda choice: pass_s, open_s=open_s), seconds=1)
    assert set(status(found).values()) == {"not tried"}
    said = re.search(r"too short to try any, about (\d+) s would do for one$", found.why)
    least = int(said[1])
    again = search(Fake(lambda choice: pass_s, open_s=open_s), seconds=least)
    assert set(status(again).values()) > {"not tried"}
    half = search(Fake(lambda choice: pass_s, open_s=open_s), seconds=least / 4)
    assert set(status(half).values()) == {"not tried"}


def test_a_candidate_that_could_not_be_timed_often_enough_is_said_to_be_unfinished():
    fake = Fake(lambda choice: 20.0 if choice.graph_optimization == "extended" else 0.02)
    found = search(fake, seconds=30)
    assert status(found)["optimise extended"] == "time ran out"
    assert found.why.endswith("the time was too short to try all")


def test_a_candidate_that_never_answers_does_not_take_the_time_of_the_confirmation():
    fake = Fake(lambda choice: 0.01 if choice.graph_optimization == "extended" else 0.02)
    slow = {"execution_mode": "parallel"}
    opening = fake.open

    def open_(choice, seconds):
        fake.open_s = 1e9 if dict(choice.config) == slow else 0.1
        return opening(choice, seconds)

    fake.open = open_
    found = search(fake, seconds=30)
    assert found.choice.graph_optimization == "extended"
    assert fake.clock <= 30


def test_contenders_in_memory_at_once_are_few():
    fake = Fake(lambda choice: 0.02)
    search(fake)
    assert fake.most_alive <= 6
    fake = Fake(lambda choice: 0.02)
    fake.room = lambda contender: 1
    search(fake)
    assert fake.most_alive <= 3
    gains = Fake(lambda choice: 0.02 * 0.8 ** len(choice.differences(BASE)))
    found = search(gains)
    assert list(status(found).values()).count("taken") > 2
    assert gains.most_alive <= 6


def test_clearly_slower_contenders_leave_early():
    times = []
    fake = Fake(lambda choice: 0.04 if choice.graph_optimization == "basic" else 0.02)
    opening = fake.open

    def open_(choice, seconds):
        made = opening(choice, seconds)
        timing = made.time
        made.time = lambda seconds: (times.append(choice.graph_optimization), timing(seconds))[1]
        return made

    fake.open = open_
    search(fake)
    assert times.count("basic") == 2
    assert times.count("extended") == 5


def test_more_threads_than_allowed_are_not_tried():
    fake = Fake(lambda choice: 0.02)
    search(fake, Space(threads=6))
    assert {choice.threads for choice in fake.opened} == {None, 4, 3, 2, 1}


def test_knobs_without_meaning_for_the_model_are_not_tried():
    found = search(Fake(lambda choice: 0.02), Space(threads=1, mentions=lambda name: False))
    assert not {"skip norms apart", "no NCHWc", "both apart"} & set(status(found))
    assert "optimise basic" in status(found)
