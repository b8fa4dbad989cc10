"""Where remedies come from: (title, address), to be spread into a Remedy."""

from __future__ import annotations

from typing import TypedDict


class Source(TypedDict):
    """The part of a Remedy that says where it comes from."""

    source: str
    url: str


def _source(title: str, url: str) -> Source:
    return {"source": title, "url": url}


PALM = _source("PaLM (Chowdhery et al., 2022), section 5.1", "https://arxiv.org/abs/2204.02311")
OPT = _source(
    "OPT-175B logbook (Zhang et al., 2022)",
    "https://github.com/facebookresearch/metaseq/tree/main/projects/OPT/chronicles",
)
PLAYBOOK = _source("Deep Learning Tuning Playbook (Google)", "https://github.com/google-research/tuning_playbook")
NAN_FILTER = _source(
    "transformers, TrainingArguments.logging_nan_inf_filter",
    "https://huggingface.co/docs/transformers/main_classes/trainer",
)
SILENT_CORRUPTION = _source("Silent data corruption in LLM training (2026)", "https://arxiv.org/abs/2604.00726")
ZCLIP = _source("ZClip (Kumar et al., 2025)", "https://arxiv.org/abs/2504.02507")
WSD = _source("MiniCPM (Hu et al., 2024), warmup-stable-decay", "https://arxiv.org/abs/2404.06395")
OLMO = _source("OLMo 2 (2024)", "https://arxiv.org/abs/2501.00656")
SPIKES = _source("ML Engineering (Bekman), training loss patterns", "https://github.com/stas00/ml-engineering")
FLIGHT_RECORDER = _source(
    "PyTorch Flight Recorder", "https://docs.pytorch.org/tutorials/unstable/flight_recorder_tutorial.html"
)
PY_SPY = _source("py-spy", "https://github.com/benfred/py-spy")
BYTE_ROBUST = _source("ByteRobust (SOSP 2025)", "https://arxiv.org/abs/2509.16293")
RESILIENCY = _source("NVIDIA Resiliency Extension", "https://github.com/NVIDIA/nvidia-resiliency-ext")
SAGEMAKER = _source(
    "SageMaker Debugger built-in rules", "https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html"
)
RLHF_DETAILS = _source(
    "The N implementation details of RLHF with PPO",
    "https://huggingface.co/blog/the_n_implementation_details_of_rlhf_with_ppo",
)
DAPO = _source("DAPO (Yu et al., 2025)", "https://arxiv.org/abs/2503.14476")
ENTROPY = _source("The entropy mechanism of RL (Cui et al., 2025)", "https://arxiv.org/abs/2505.22617")
OVEROPTIMISATION = _source(
    "Scaling laws for reward model overoptimization (Gao et al., 2022)", "https://arxiv.org/abs/2210.10760"
)
TRL = _source("TRL documentation", "https://huggingface.co/docs/trl")
OVERFITTING_DPO = _source(
    "Scaling laws for overoptimization in direct alignment (Rafailov et al., 2024)", "https://arxiv.org/abs/2406.02900"
)
ROBUST_DPO = _source("Provably robust DPO (Chowdhury et al., 2024)", "https://arxiv.org/abs/2403.00409")
LENGTH = _source(
    "A long way to go: length correlations in RLHF (Singhal et al., 2023)", "https://arxiv.org/abs/2310.03716"
)
ODIN = _source("ODIN: disentangled reward (Chen et al., 2024)", "https://arxiv.org/abs/2402.07319")
DATA_LOADING = _source("PyTorch, torch.utils.data", "https://docs.pytorch.org/docs/stable/data.html")
MEMORY = _source(
    "PyTorch, understanding CUDA memory usage", "https://docs.pytorch.org/docs/stable/torch_cuda_memory.html"
)
NVML = _source(
    "NVML, clocks event reasons", "https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html"
)
ROLLOUT_CORRECTION = _source("verl, rollout correction", "https://verl.readthedocs.io/en/latest/algo/rollout_corr.html")
SB3 = _source("Stable-Baselines3, logger", "https://stable-baselines3.readthedocs.io/en/master/common/logger.html")
