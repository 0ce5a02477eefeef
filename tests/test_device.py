"""Cards and state folders: one job each, and free again however the job ends."""

import subprocess
import sys
import time
from threading import Thread
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock, Timeout

from stages import device

HOLD = """
import sys, time, torch
from types import SimpleNamespace
from stages import device
torch.cuda.device_count = lambda: 2
torch.cuda.get_device_properties = lambda index: SimpleNamespace(uuid=f"test-{index}")
device.tempfile.gettempdir = lambda: sys.argv[1]
with device._card() as index:
    print(index, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def two_cards(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"test-{index}"))
    monkeypatch.setattr(device.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_each_job_gets_a_card_of_its_own_and_a_killed_job_frees_it(two_cards):
    command = [sys.executable, "-c", HOLD, str(two_cards)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "0\n"
            with device._card() as index:
                assert index == 1
        finally:
            other.kill()
    with device._card() as index:
        assert index == 0


def test_a_job_waits_where_every_card_is_taken(two_cards, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(device, "WAIT_SECONDS", 0.1)
    said_when = HOLD.replace("lambda: 2", "lambda: 1").replace("sleep(60)", "sleep(2); print(time.monotonic())")
    command = [sys.executable, "-c", said_when, str(two_cards)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "0\n"
        with device._card() as index:
            assert index == 0
            assert time.monotonic() > float(other.stdout.readline()), "given back first"
    assert capsys.readouterr().err.count("waiting") == 1


def test_a_job_of_two_cards_is_not_overtaken_by_later_jobs_of_one(two_cards, monkeypatch):
    monkeypatch.setattr(device, "WAIT_SECONDS", 0.01)
    order = []

    def job(name: str, count: int) -> None:
        with device._free_cards(count) as indices:
            order.append((name, indices))
            time.sleep(0.1)

    def taken(card: int) -> bool:
        (folder,) = two_cards.glob("diffusion-anomaly-benchmark-*")
        try:
            with FileLock(folder / f"test-{card}.lock", timeout=0):
                return False
        except Timeout:
            return True

    jobs = [Thread(target=job, args=("two", 2), daemon=True), Thread(target=job, args=("one", 1), daemon=True)]
    with device._card() as index:
        assert index == 0
        jobs[0].start()
        deadline = time.monotonic() + 30
        while not taken(1):  # it holds the free card while it waits for the other
            assert time.monotonic() < deadline
            time.sleep(0.01)
        jobs[1].start()
        time.sleep(0.1)
        assert order == []
    for one in jobs:
        one.join(30)
    assert order == [("two", [0, 1]), ("one", [0])]


def test_without_cuda_the_cpu_computes_with_the_rules_threads(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = torch.get_num_threads()
    try:
        with device.leased(1, "32-true") as processor:
            assert processor.device.type == "cpu"
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert capsys.readouterr().out == "device: CPU, 1 threads, 32-true (no CUDA device)\n"


KINDS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16, "32-true": torch.float32}


@pytest.mark.parametrize(
    ("asked", "known", "computed", "said"),
    [
        ("bf16-mixed", True, "bf16-mixed", "bf16-mixed (no CUDA device)"),
        ("bf16-mixed", False, "32-true", "32-true (bf16-mixed asked, but this CPU computes bfloat16 by emulation)"),
        ("16-mixed", True, "16-mixed", "16-mixed (no CUDA device)"),
        ("16-mixed", False, "32-true", "32-true (16-mixed asked, but this CPU computes float16 by emulation)"),
        ("32-true", False, "32-true", "32-true (no CUDA device)"),
    ],
)
def test_a_cpu_that_would_emulate_computes_in_float32_and_says_so(capsys, monkeypatch, asked, known, computed, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    other = {"bf16-mixed": "16-mixed"}.get(asked, "bf16-mixed")
    for kind, name in {"bf16-mixed": "_is_mkldnn_bf16_supported", "16-mixed": "_is_mkldnn_fp16_supported"}.items():
        answer = not known if kind == other else known
        monkeypatch.setattr(torch.ops.mkldnn, name, lambda answer=answer: answer)
    x = torch.ones(4, 4)
    with device.leased(torch.get_num_threads(), asked) as processor, processor.autocast():
        assert (x @ x).dtype == KINDS[computed]
    assert capsys.readouterr().out == f"device: CPU, {torch.get_num_threads()} threads, {said}\n"


@pytest.mark.parametrize(
    ("asked", "major", "computed", "said"),
    [
        ("bf16-mixed", 8, "bf16-mixed", ""),
        ("bf16-mixed", 7, "16-mixed", " (bf16-mixed asked, but this card has no bfloat16 of its own)"),
        ("16-mixed", 9, "16-mixed", ""),
        ("32-true", 7, "32-true", ""),
    ],
)
def test_a_card_computes_what_it_knows_whatever_the_cpu_does(
    capsys, monkeypatch, two_cards, asked, major, computed, said
):
    card = SimpleNamespace(uuid="test-0", name="a card", total_memory=2**30, major=major)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    for name in ("_is_mkldnn_bf16_supported", "_is_mkldnn_fp16_supported"):
        monkeypatch.setattr(torch.ops.mkldnn, name, lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul := SimpleNamespace())
    monkeypatch.setattr(torch.backends, "cudnn", SimpleNamespace())
    with device.leased(torch.get_num_threads(), asked) as processor:
        assert processor == device.Processor(torch.device("cuda:0"), computed)
    assert matmul.allow_tf32 == (computed != "32-true")
    assert capsys.readouterr().out == f"device: cuda:0, a card, 1 GiB, {computed}{said}\n"


@pytest.mark.parametrize("allowed", [(True, True), (False, True), (False, False)])
def test_full_float32_gives_back_what_it_took_even_after_an_error(monkeypatch, allowed):
    backends = [SimpleNamespace(allow_tf32=value) for value in allowed]
    monkeypatch.setattr(torch.backends.cuda, "matmul", backends[0])
    monkeypatch.setattr(torch.backends, "cudnn", backends[1])
    inside = []

    def fail():
        with device.full_float32():
            inside.extend(backend.allow_tf32 for backend in backends)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [False, False]
    assert tuple(backend.allow_tf32 for backend in backends) == allowed


def test_a_loss_and_its_gradient_are_those_of_plain_autograd_and_taken_in_full_float32(monkeypatch):
    backends = SimpleNamespace(allow_tf32=True), SimpleNamespace(allow_tf32=True)
    monkeypatch.setattr(torch.backends.cuda, "matmul", backends[0])
    monkeypatch.setattr(torch.backends, "cudnn", backends[1])
    weights = [torch.tensor([2.0, 3.0], requires_grad=True), torch.ones(2), torch.ones(1, requires_grad=True)]
    seen = []

    def loss():
        seen.append(tuple(backend.allow_tf32 for backend in backends))
        value = (weights[0] ** 3 * weights[1]).sum()
        value.register_hook(lambda _: seen.append(tuple(backend.allow_tf32 for backend in backends)))
        return value

    total = 5 * device.differentiated_in_full(loss, weights) + weights[0].sum()
    assert seen == [(False, False)] * 2, "there and back"
    total.backward()
    assert len(seen) == 2
    assert float(total.detach()) == 5 * (8 + 27) + 5
    assert weights[0].grad.tolist() == [5 * 3 * 4 + 1, 5 * 3 * 9 + 1]
    assert weights[1].grad is weights[2].grad is None, "one takes no gradient, the other is not used"
    assert not device.differentiated_in_full(loss, [weights[1]]).requires_grad


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_peak_memory_is_the_processs_own_in_megabytes(monkeypatch, platform, unit):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device.resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=3_000_000 // unit))
    monkeypatch.setattr(device.sys, "platform", platform)
    assert device.peak_memory() == pytest.approx(3, rel=1e-3)


def test_peak_memory_and_name_are_the_cards_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 5_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda card: f"card {card.index}")
    assert device.peak_memory() == 5
    assert device.describe(torch.device("cuda:1")) == "card 1"
    assert device.describe(torch.device("cpu")) == f"CPU, {torch.get_num_threads()} threads"


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_network_computes_in_the_runs_precision_and_returns_float32(precision):
    seen = []

    class Network(torch.nn.Module):
        def forward(self, image, time):
            seen.extend([image.dtype, time.dtype, (image @ image).dtype])
            return image @ image, [image.sum()], time

    product, (total,), time = device.InPrecision(Network(), device.Processor(precision=precision))(
        torch.eye(2), torch.tensor(3)
    )
    assert seen == [KINDS[precision], torch.int64, KINDS[precision]]
    assert [product.dtype, total.dtype, time.dtype] == [torch.float32, torch.float32, torch.int64]
    assert torch.equal(product, torch.eye(2))


def test_autocast_and_the_losss_scale_are_the_precisions_own():
    x = torch.ones(4, 4)
    for precision, kind in KINDS.items():
        processor = device.Processor(precision=precision)
        with processor.autocast():
            assert (x @ x).dtype == kind
        assert float(processor.scaler().scale(torch.ones(()))) == (2.0**16 if precision == "16-mixed" else 1)
        assert bool(processor.scaler().state_dict()) == (precision == "16-mixed")


def test_what_is_done_on_one_thread_gives_the_others_back_even_after_an_error():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    inside = []

    def fail():
        with device.one_thread():
            inside.append(torch.get_num_threads())
            raise KeyError

    try:
        with pytest.raises(KeyError):
            fail()
        assert [*inside, torch.get_num_threads()] == [1, 2]
    finally:
        torch.set_num_threads(before)
