"""How a real training process may end, fork or run out of disk, and what its journal says then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from runvitals.collectors import journal

BEGIN = """
from runvitals.collectors.options import Options
run = runvitals.init("p", "n", home=home, options=Options(heartbeat_s=0.05, sample=False))
"""


def test_kill_9_at_full_speed_loses_no_row_that_log_returned_from(script: Any) -> None:
    process = script.start(
        BEGIN
        + """
row = {f"key/{i}": float(i) for i in range(20)}
step = 0
while True:
    run.log(row, step)
    if step % 100 == 0:
        os.write(1, b"%d\\n" % step)
    step += 1
"""
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 5000:
            break
    process.kill()
    rest, _ = process.communicate()
    returned = max([5000, *map(int, rest.split("\n")[:-1])])
    told = script.told()
    steps = [step for step, _ in told.training]
    assert steps == list(range(len(steps))) and steps[-1] >= returned
    assert not told.damage and told.of("finish") == []


def test_a_script_that_just_ends_is_finished(script: Any) -> None:
    code, _, err = script.run(BEGIN + "run.log({'loss': 1}, 1)")
    assert (code, err) == (0, "")
    assert script.told().of("finish") == [{"status": "finished", "exit_code": None}]


def test_an_uncaught_exception_is_a_crash_and_is_printed_as_ever(script: Any) -> None:
    code, _, err = script.run(BEGIN + "run.log({'loss': 1}, 1)\nraise ValueError('bad batch')")
    assert code == 1 and err.rstrip().endswith("ValueError: bad batch")
    told = script.told()
    assert told.of("finish") == [{"status": "crashed", "exit_code": 1}]
    assert told.of("exception")[0]["message"] == "bad batch"


def test_the_users_own_excepthook_is_still_called(script: Any) -> None:
    _, out, _ = script.run("sys.excepthook = lambda *a: print('mine')\n" + BEGIN + "raise ValueError")
    assert out == "mine\n"


def test_an_interrupt_at_the_keyboard_is_a_stop(script: Any) -> None:
    code, _, _ = script.run(BEGIN + "raise KeyboardInterrupt")
    assert code == -signal.SIGINT
    told = script.told()
    assert told.of("finish") == [{"status": "stopped", "exit_code": 130}]
    assert told.of("signal") == [{"name": "SIGINT"}]


@pytest.mark.parametrize(
    "work", ["time.sleep(0.01)", "run.log({'loss': 1}, 1)"], ids=["sleeping", "logging at full speed"]
)
def test_sigterm_stops_the_run_and_ends_the_process_as_it_would_have(script: Any, work: str) -> None:
    process = script.start(BEGIN + f"print('up', flush=True)\nwhile True:\n    {work}")
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    assert process.wait(timeout=10) == -signal.SIGTERM
    process.communicate()
    told = script.told()
    assert told.of("signal") == [{"name": "SIGTERM"}]
    assert told.of("finish") == [{"status": "stopped", "exit_code": 143}]
    assert not told.damage


STUCK = """
import ctypes
mutex = ctypes.create_string_buffer(256)
system = ctypes.CDLL(None)
system.pthread_mutex_lock(mutex)
"""
"""The second lock never returns, releases the interpreter's lock, and no signal interrupts it: as a collective that waits for a dead rank."""


def test_sigterm_ends_a_process_that_hangs_in_c_code_and_is_noted(script: Any) -> None:
    process = script.start(
        BEGIN + STUCK + "run.log({'loss': 1}, 1)\nos.write(1, b'up\\n')\nsystem.pthread_mutex_lock(mutex)"
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    try:
        assert process.wait(timeout=5) == -signal.SIGTERM
    finally:
        process.kill()
        process.communicate()
    told = script.told()
    assert told.of("signal") == [{"name": "SIGTERM"}]
    assert told.of("finish") == [{"status": "stopped", "exit_code": 143}]


@pytest.mark.parametrize("work", [STUCK + "system.pthread_mutex_lock(mutex)", "sum(itertools.repeat(1))"])
def test_a_forked_worker_dies_at_once_by_sigterm_whatever_it_does_and_the_parent_goes_on(
    script: Any, work: str
) -> None:
    code, out, err = script.run(
        "import itertools, multiprocessing\nsys.setswitchinterval(1e-4)\n"
        + BEGIN
        + f"""
def work():
    os.write(tell, b"up")
{"".join(f"    {line}{chr(10)}" for line in work.splitlines())}
ready, tell = os.pipe()
worker = multiprocessing.get_context("fork").Process(target=work, daemon=True)
worker.start()
os.read(ready, 2)
begun = time.monotonic()
worker.terminate()
worker.join(5)
print(worker.exitcode, time.monotonic() - begun < 0.5)
worker.kill()
for _ in range(20):
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,), daemon=True)
    worker.start()
    worker.terminate()  # often before it has run a line
    worker.join(5)
    assert worker.exitcode == -15, worker.exitcode
    worker.kill()
until = time.monotonic() + 1.3
while time.monotonic() < until:
    time.sleep(0.1)
run.log({{"loss": 1}}, 1)
"""
    )
    assert (code, out, err) == (0, "-15 True\n", "")
    told = script.told()
    assert told.of("signal") == [] and told.of("finish")[0]["status"] == "finished"
    assert [step for step, _ in told.training] == [1]


def test_a_handler_installed_after_ours_has_all_the_time_it_needs(script: Any) -> None:
    code, out, _ = script.run(
        BEGIN
        + """
import signal
def save(*_):
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        time.sleep(0.1)
    print("saved")
signal.signal(signal.SIGTERM, save)
os.kill(os.getpid(), signal.SIGTERM)
"""
    )
    assert (code, out) == (0, "saved\n")


def test_other_codes_wake_up_pipe_is_left_alone_and_sigterm_with_it(script: Any) -> None:
    code, out, err = script.run(
        """
import signal
read, written = os.pipe()
os.set_blocking(written, False)
signal.set_wakeup_fd(written)
"""
        + BEGIN
        + "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.set_wakeup_fd(-1) == written)"
    )
    assert (code, out, err) == (0, "True True\n", "")


def test_an_abandoned_run_ends_as_crashed_by_itself(script: Any) -> None:
    code, out, _ = script.run(
        BEGIN
        + """
run.abandon()
until = time.monotonic() + 5
while not run.ended and time.monotonic() < until:
    time.sleep(0.01)
print(run.ended)
"""
    )
    assert (code, out) == (0, "True\n")
    assert script.told().of("finish") == [{"status": "crashed", "exit_code": None}]


def test_a_process_that_ends_in_the_middle_of_a_training_has_not_finished(script: Any) -> None:
    code, _, _ = script.run(BEGIN + "run.in_training = True\nsys.exit(0)")
    assert code == 0
    assert script.told().of("finish") == [{"status": "crashed", "exit_code": None}]


def test_a_handler_of_the_users_own_decides_and_the_run_goes_on(script: Any) -> None:
    code, out, _ = script.run(
        """
import signal
signal.signal(signal.SIGTERM, lambda *a: print("saving"))
"""
        + BEGIN
        + """
os.kill(os.getpid(), signal.SIGTERM)
run.log({"loss": 1}, 1)
sys.exit(5)
"""
    )
    assert (code, out) == (5, "saving\n")
    told = script.told()
    assert told.of("signal") == [{"name": "SIGTERM"}] and len(told.training) == 1
    assert told.of("finish")[0]["status"] == "stopped"


def test_an_ignored_sigterm_stays_ignored(script: Any) -> None:
    code, out, _ = script.run(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + BEGIN
        + "os.kill(os.getpid(), signal.SIGTERM)\nrun.finish()\nprint('done')"
    )
    assert (code, out) == (0, "done\n")
    assert script.told().of("finish")[0]["status"] == "finished"


def test_a_run_begun_in_another_thread_leaves_signals_alone(script: Any) -> None:
    code, out, _ = script.run(
        f"""
import signal, threading
def work():
    global run
    {BEGIN.strip().replace(chr(10), chr(10) + "    ")}
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""
    )
    assert (code, out) == (0, "True\n")


def test_a_forked_child_writes_nothing_and_ends_by_sigterm_as_a_child_should(script: Any) -> None:
    code, out, err = script.run(
        BEGIN
        + """
import signal
run.log({"who": 1}, 1)
child = os.fork()
if child == 0:
    run.log({"who": 2}, 2)
    run.event("child")
    run.finish()
    sys.exit(0)
print(os.waitpid(child, 0)[1])
ready, tell = os.pipe()
child = os.fork()
if child == 0:
    os.write(tell, b"up")
    time.sleep(30)
    os._exit(1)
os.read(ready, 2)
os.kill(child, signal.SIGTERM)
print(os.WTERMSIG(os.waitpid(child, 0)[1]))
run.log({"who": 1}, 3)
"""
    )
    assert (code, out, err) == (0, "0\n15\n", "")
    told = script.told()
    assert told.training == [(1, {"who": 1.0}), (3, {"who": 1.0})]
    assert told.of("signal") == told.of("child") == [] and len(told.of("finish")) == 1
    seqs = [*(row[0] for row in told.rows), *(event.seq for event in told.events), *(beat.seq for beat in told.beats)]
    assert len(seqs) == len(set(seqs)) and not told.damage


def test_a_fork_in_the_middle_of_a_log_from_another_thread_does_not_hang_the_child(script: Any) -> None:
    code, out, _ = script.run(
        BEGIN
        + """
import threading, warnings
warnings.simplefilter("ignore")
def work():
    for step in range(20000):
        run.log({"a": 1}, step)
thread = threading.Thread(target=work)
thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        run.log({"a": 2}, -5)
        os._exit(0)
    os.waitpid(child, 0)
thread.join()
print("all came home")
"""
    )
    assert (code, out) == (0, "all came home\n")
    told = script.told()
    assert [step for step, _ in told.training] == list(range(20000)) and not told.damage


def test_a_full_disk_stops_nothing_and_the_loss_is_told_when_there_is_room_again(script: Any) -> None:
    code, _, err = script.run(
        """
import resource
"""
        + BEGIN.replace("0.05", "1000.0")
        + """
row = {f"key/{i}": float(i) for i in range(20)}
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for step in range(300):
    if step == 100:
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(next(run.path.iterdir())).st_size + 50, hard))
    if step == 101:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    if step == 200:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        time.sleep(0.15)
    run.log(row, step)
"""
    )
    assert code == 0
    told = script.told()
    assert [step for step, _ in told.training] == [*range(100), *range(200, 300)]
    assert not told.damage
    [fault] = told.of("fault")
    assert fault["where"] == "journal" and fault["count"] == 100
    assert err.count("runvitals:") == 1 and "training goes on" in err
    finished = told.of("finish")
    assert finished and finished[0]["status"] == "finished"


def test_the_end_is_told_at_once_when_there_is_room_again_however_recent_the_last_failure(script: Any) -> None:
    code, _, _ = script.run(
        """
import resource
"""
        + BEGIN.replace("0.05", "1000.0")
        + """
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
run.log({"loss": 1.0}, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
for step in range(1, 50):
    run.log({"loss": 1.0}, step)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
"""
    )
    assert code == 0
    told = script.told()
    assert [fault["count"] for fault in told.of("fault")] == [49]
    assert [finish["status"] for finish in told.of("finish")] == ["finished"]


def test_a_file_that_may_not_grow_is_left_for_a_new_one_without_a_torn_record_between(script: Any) -> None:
    code, _, _ = script.run(
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        + BEGIN
        + "row = {f'key/{i}': float(i) for i in range(20)}\nfor step in range(500):\n    run.log(row, step)"
    )
    assert code == 0
    told = script.told()
    [folder] = (script.home / "journal").iterdir()
    files = len(journal.files(folder))
    assert files > 3 and not told.damage
    assert len(told.training) + sum(fault["count"] for fault in told.of("fault")[-1:]) == 500


def test_a_folder_that_goes_away_is_made_again_and_the_loss_is_told(script: Any) -> None:
    code, _, err = script.run(
        BEGIN
        + """
import shutil
run.log({"loss": 1}, 1)
shutil.rmtree(run.path)
run.log({"loss": 2}, 2)
until = time.monotonic() + 5
while not run.path.is_dir() and time.monotonic() < until:
    time.sleep(0.01)
run.log({"loss": 3}, 3)
"""
    )
    assert code == 0 and "deleted" in err
    told = script.told()
    assert [step for step, _ in told.training] == [3]
    assert told.of("fault")[0]["count"] >= 1


def test_a_home_that_cannot_be_written_costs_one_line_and_no_training(script: Any) -> None:
    script.home.write_text("a file where the folder should be")
    code, out, err = script.run(BEGIN + "for step in range(1000):\n    run.log({'loss': 1}, step)\nprint('trained')")
    assert (code, out) == (0, "trained\n")
    assert err.count("cannot write the journal") == 1
    assert len(err.splitlines()) <= 3


def test_beats_carry_phase_and_last_step_and_end_with_the_run(script: Any) -> None:
    code, _, _ = script.run(
        BEGIN + "run.phase('train')\nrun.log({'loss': 1}, 41)\ntime.sleep(0.19)\nrun.finish()\ntime.sleep(0.1)"
    )
    assert code == 0
    told = script.told()
    assert len(told.beats) >= 3
    assert (told.beats[-1].phase, told.beats[-1].step) == ("train", 41)
    assert told.beats[-1].seq < told.events[-1].seq and told.events[-1].kind == "finish"


def test_without_a_run_the_face_says_so_once_and_goes_on(script: Any) -> None:
    code, _, err = script.run("runvitals.log({'a': 1})\nrunvitals.log({'a': 1})\nrunvitals.finish()")
    assert code == 0
    assert err.count("log: there is no run") == 1


def test_the_bare_client_pulls_no_numerics_and_no_screen() -> None:
    code = "import runvitals, sys; runvitals.init; print([m for m in ('numpy','pandas','torch','streamlit','sqlalchemy','pynvml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout == "[]\n"


def test_a_forked_child_may_record_a_run_of_its_own(script: Any, told: Any) -> None:
    code, _, err = script.run(
        BEGIN
        + """
child = os.fork()
if child == 0:
    own = runvitals.init("p", "child", home=home, options=Options(heartbeat_s=0.05, sample=False))
    own.log({"who": 2}, 2)
    sys.exit(0)
os.waitpid(child, 0)
run.log({"who": 1}, 1)
"""
    )
    assert (code, err) == (0, "")
    both = {say.starts[0].name: say for say in map(told, (script.home / "journal").iterdir())}
    assert both["n"].training == [(1, {"who": 1.0})] and both["child"].training == [(2, {"who": 2.0})]
    assert all(say.of("finish") == [{"status": "finished", "exit_code": None}] for say in both.values())
