"""Kernels: the decorator and its cache, object code without numba, SIMD vectors, bytes, memory, random numbers."""

from mlkit.jit.cache import cache_directory, jit_disabled, use_command_cache
from mlkit.jit.decorator import REASSOCIATE, inline, kernel, operations
from mlkit.jit.discovery import all_kernels, kernel_modules
from mlkit.jit.memory import prefetch
from mlkit.jit.signature import Argument, parse_arguments, parse_signature

__all__ = [
    "REASSOCIATE", "Argument", "all_kernels", "cache_directory", "inline", "jit_disabled", "kernel", "kernel_modules",
    "operations", "parse_arguments", "parse_signature", "prefetch", "use_command_cache",
]  # fmt: skip
