import pytest

from foodjax.system.accelerators import unused

DRIVERS = {
    "": "cuda13",
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:16 UTC 2025\nGCC version": "cuda13",
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build  (dvs)": "cuda12",
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024": "cuda12",
}


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def nothing(package):
    return False


@pytest.mark.parametrize("driver,extra", DRIVERS.items())
@pytest.mark.parametrize("device", ["nvidia0", "nvidia3", "dxg"])
def test_a_gpu_without_its_plugin_is_told_with_the_extra(tmp_path, driver, extra, device):
    write(tmp_path / "dev" / device)
    if driver:
        write(tmp_path / "proc/driver/nvidia/version", driver)
    line = f"an NVIDIA GPU is here, and JAX cannot use it: pip install 'foodjax[{extra}]'"
    assert unused(tmp_path, nothing) == line
    for plugin in ("jax_cuda12_plugin", "jax_cuda13_plugin"):
        assert unused(tmp_path, lambda package, plugin=plugin: package == plugin) == ""


def test_a_driver_without_a_gpu_that_this_process_may_use_is_none(tmp_path):
    write(tmp_path / "proc/driver/nvidia/version", "NVRM version: 580.95.05")  # as in a container
    write(tmp_path / "dev/nvidiactl")
    assert unused(tmp_path, nothing) == ""


@pytest.mark.parametrize("device,is_tpu", [("0x0063", True), ("0x0042", False)])
def test_a_tpu_is_told_and_googles_network_card_is_none(tmp_path, device, is_tpu):
    write(tmp_path / "sys/bus/pci/devices/0000:00:04.0/vendor", "0x1ae0\n")
    write(tmp_path / "sys/bus/pci/devices/0000:00:04.0/device", f"{device}\n")
    line = "a TPU is here, and JAX cannot use it: pip install 'foodjax[tpu]'"
    assert unused(tmp_path, nothing) == (line if is_tpu else "")
    assert unused(tmp_path, lambda package: package == "libtpu") == ""


def test_nothing_is_told_where_there_is_nothing(tmp_path):
    assert unused(tmp_path, nothing) == ""


@pytest.mark.parametrize("platform,told", [(None, True), ("cpu", False)])
def test_the_program_says_it_once_unless_the_environment_chooses(monkeypatch, capsys, platform, told):
    import logging

    from foodjax import cli
    from foodjax.system import accelerators

    monkeypatch.setattr(accelerators, "unused", lambda: "a GPU is here")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    if platform:
        monkeypatch.setenv("JAX_PLATFORMS", platform)
    logger = logging.getLogger("jax._src.xla_bridge")
    monkeypatch.setattr(logger, "filters", [])
    cli._say_unused()
    assert capsys.readouterr().err == ("a GPU is here\n" if told else "")
    record = logger.makeRecord("x", logging.WARNING, "", 1, "An NVIDIA GPU may be present on this machine", (), None)
    other = logger.makeRecord("x", logging.WARNING, "", 1, "CUDA backend failed to initialize", (), None)
    assert bool(logger.filter(record)) is not told
    assert logger.filter(other)
