"""GPUs and hosts on a run's page: small multiples, only of what was sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from runvitals.dashboard.run_map import host_of
from runvitals.dashboard.signal_facts import about
from runvitals.diagnostics.signals import Device, canonical, device
from runvitals.store.types import Latest, RunInfo

_HOST = (
    ("host_cpu_percent", "CPU", "%", 100.0),
    ("host_process_cpu_percent", "Process CPU", "%", None),
    ("host_memory_gib", "Memory", "GiB", None),
    ("host_process_memory_gib", "Process memory", "GiB", None),
    ("host_disk_read_mib_s", "Disk read", "MiB/s", None),
    ("host_disk_write_mib_s", "Disk written", "MiB/s", None),
    ("host_net_sent_mib_s", "Network sent", "MiB/s", None),
    ("host_net_received_mib_s", "Network received", "MiB/s", None),
)

MOST_DEVICES = 16
"""Small multiples of devices: two rows. A run of more has them all on the map."""

MOST_HOSTS = 4


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
        name = self.id.partition(":")[0]
        block = {"id": f"{self.id}-small", "kind": "small", "name": name, "span": 12, "items": list(self.items)}
        return {"id": self.id, "title": self.title, "sentence": self.sentence, "blocks": [block]}


def device_sections(run: RunInfo, keys: Mapping[str, Latest]) -> list[DeviceSection]:
    """GPUs, then the hosts; none where nothing was sampled."""
    names = tuple(keys)
    return [section for section in (_gpus(run, names), *_hosts(names)) if section is not None]


@lru_cache(maxsize=32)
def _by_device(names: tuple[str, ...]) -> Mapping[Device, Mapping[str, str]]:
    by_device: dict[Device, dict[str, str]] = {}
    for key in names:
        found = device(key)
        if found is not None:
            by_device.setdefault(found[1], {})[found[0]] = key
    return {place: found for place, found in sorted(by_device.items()) if "gpu_utilization" in found}


@lru_cache(maxsize=32)
def _by_host(names: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
    """Host → signal → key; the first rank's host is "" and comes first."""
    by_host: dict[str, dict[str, str]] = {}
    for key in names:
        host, plain = host_of(key)
        signal = canonical(plain)
        if plain.startswith("host/") and signal is not None:
            by_host.setdefault(host, {})[signal] = key
    return dict(sorted(by_host.items()))


def _gpus(run: RunInfo, names: tuple[str, ...]) -> DeviceSection | None:
    usable = _by_device(names)
    if not usable:
        return None
    shown = dict(list(usable.items())[:MOST_DEVICES])
    items = tuple(_gpu(place, found) for place, found in shown.items())
    used = tuple(key for found in shown.values() for key in found.values())
    sold = run.info.get("gpus")
    name = f" × {sold[0]}" if isinstance(sold, (list, tuple)) and sold and isinstance(sold[0], str) else ""
    sentence = f"{len(usable)}{name} · utilisation 0–100 %" + (", memory as bar" if "bar" in items[0] else "")
    if len(usable) > len(shown):
        sentence += f" · the first {len(shown)} here, all on the map"
    return DeviceSection(id="gpus", title="GPUs", sentence=sentence, items=items, keys=used)


def _gpu(place: Device, found: Mapping[str, str]) -> dict[str, Any]:
    feet = [("gpu_memory_used_gib", "GiB"), ("gpu_power_w", "W"), ("gpu_temperature_c", "°C")]
    item: dict[str, Any] = {
        "id": f"gpu{place}",
        "title": f"GPU {place.index}",
        "of": place.node,
        "series": found["gpu_utilization"],
        "unit": "%",
        "top": 100,
        "feet": [{"series": found[signal], "unit": unit} for signal, unit in feet if signal in found],
        "about": [
            about(signal, found[signal])
            for signal in ("gpu_utilization", *(name for name, _ in feet))
            if signal in found
        ],
    }
    if "gpu_memory_used_gib" in found and "gpu_memory_total_gib" in found:
        item["bar"] = [found["gpu_memory_used_gib"], found["gpu_memory_total_gib"]]
    return item


def _hosts(names: tuple[str, ...]) -> list[DeviceSection]:
    by_host = _by_host(names)
    shown = list(by_host.items())[:MOST_HOSTS]
    sections = [_host(host, found) for host, found in shown]
    if sections and len(by_host) > len(shown):
        sentence = f"the first {len(shown)} of {len(by_host)} hosts here, all on the map"
        sections[0] = replace(sections[0], sentence=sentence)
    return sections


def _host(host: str, found: Mapping[str, str]) -> DeviceSection:
    items = []
    total = found.get("host_memory_total_gib")
    used = [total] if total is not None else []
    for signal, title, unit, top in _HOST:
        key = found.get(signal)
        if key is None:
            continue
        item: dict[str, Any] = {
            "id": signal,
            "title": title,
            "series": key,
            "unit": unit,
            "about": [about(signal, key)],
        }
        if top is not None:
            item["top"] = top
        if "memory" in signal and total is not None:
            item["bar"] = [key, total]
        items.append(item)
        used.append(key)
    title = f"Host {host}" if host else "Host"
    return DeviceSection(
        id=f"host:{host}" if host else "host", title=title, sentence="", items=tuple(items), keys=tuple(used)
    )
