"""GPUs and host on a run's page: small multiples, only of what was sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runvitals.diagnostics.signals import Device, best_key, device
from runvitals.store.types import Latest, RunInfo

_HOST = (
    ("tokens_per_s", "Tokens/s", "", None),
    ("samples_per_s", "Samples/s", "", None),
    ("host_cpu_percent", "CPU", "%", 100.0),
    ("host_process_cpu_percent", "Process CPU", "%", None),
    ("host_memory_gib", "Memory", "GiB", None),
    ("host_process_memory_gib", "Process memory", "GiB", None),
    ("host_disk_read_mib_s", "Disk read", "MiB/s", None),
    ("host_disk_write_mib_s", "Disk written", "MiB/s", None),
    ("host_net_sent_mib_s", "Network sent", "MiB/s", None),
    ("host_net_received_mib_s", "Network received", "MiB/s", None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSection:
    """Small multiples under one heading. keys: the series they draw."""

    id: str
    title: str
    sentence: str
    items: tuple[dict[str, Any], ...]
    keys: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """As the component takes it."""
        block = {"id": f"{self.id}-small", "kind": "small", "name": self.id, "span": 12, "items": list(self.items)}
        return {"id": self.id, "title": self.title, "sentence": self.sentence, "blocks": [block]}


def device_sections(run: RunInfo, keys: Mapping[str, Latest]) -> list[DeviceSection]:
    """GPUs, then the host; none where nothing was sampled."""
    return [section for section in (_gpus(run, keys), _host(keys)) if section is not None]


def _gpus(run: RunInfo, keys: Mapping[str, Latest]) -> DeviceSection | None:
    by_device: dict[Device, dict[str, str]] = {}
    for key in keys:
        found = device(key)
        if found is not None:
            by_device.setdefault(found[1], {})[found[0]] = key
    usable = {place: found for place, found in sorted(by_device.items()) if "gpu_utilization" in found}
    if not usable:
        return None
    items = tuple(_gpu(place, found) for place, found in usable.items())
    used = tuple(key for found in usable.values() for key in found.values())
    names = run.info.get("gpus")
    name = f" × {names[0]}" if isinstance(names, (list, tuple)) and names and isinstance(names[0], str) else ""
    sentence = f"{len(items)}{name} · utilisation 0–100 %" + (", memory as bar" if "bar" in items[0] else "")
    return DeviceSection(id="gpus", title="GPUs", sentence=sentence, items=items, keys=used)


def _gpu(place: Device, found: Mapping[str, str]) -> dict[str, Any]:
    feet = [("gpu_memory_used_gib", "GiB"), ("gpu_power_w", "W"), ("gpu_temperature_c", "°C")]
    item: dict[str, Any] = {
        "id": f"gpu{place}",
        "title": f"GPU {place}",
        "series": found["gpu_utilization"],
        "unit": "%",
        "top": 100,
        "feet": [{"series": found[signal], "unit": unit} for signal, unit in feet if signal in found],
    }
    if "gpu_memory_used_gib" in found and "gpu_memory_total_gib" in found:
        item["bar"] = [found["gpu_memory_used_gib"], found["gpu_memory_total_gib"]]
    return item


def _host(keys: Mapping[str, Latest]) -> DeviceSection | None:
    items, used = [], []
    total = best_key("host_memory_total_gib", keys)
    for signal, title, unit, top in _HOST:
        key = best_key(signal, keys)
        if key is None:
            continue
        item: dict[str, Any] = {"id": signal, "title": title, "series": key, "unit": unit}
        if top is not None:
            item["top"] = top
        if "memory" in signal and total is not None:
            item["bar"] = [key, total]
        items.append(item)
        used.append(key)
    if not items:
        return None
    if total is not None:
        used.append(total)
    return DeviceSection(id="host", title="Throughput and host", sentence="", items=tuple(items), keys=tuple(used))
